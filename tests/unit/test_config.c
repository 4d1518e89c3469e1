/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json and generation_config.json: the released file's numbers, both spellings, contradictions, every field that
 * would change the computation, and the edges of ranges. The released file is written here as text-model.md 2 gives it;
 * each row changes one thing in it.
 */
#include "weights/config.h"

#include "base/buf.h"
#include "tests/tap.h"

/* A list of 60: three 0, then 1. */
#define TEN "1,1,1,1,1,1,1,1,1,1,"
#define FREQ "0,0,0," TEN TEN TEN TEN TEN "1,1,1,1,1,1,1"

static const char released[] =
    "{\"architectures\": [\"MiniMaxM3SparseForConditionalGeneration\"], \"model_type\": \"minimax_m3_vl\","
    "\"torch_dtype\": \"bfloat16\", \"image_token_index\": 200025, \"video_token_index\": 200026,"
    "\"image_seq_length\": 576, \"process_image_mode\": \"dynamic_res\", \"projector_hidden_act\": \"gelu\","
    "\"projector_hidden_size\": 6144, \"multimodal_projector_bias\": true, \"num_reward_heads\": 0,"
    "\"vision_feature_layer\": -1, \"vision_feature_select_strategy\": \"full\", \"image_grid_pinpoints\": [[336, "
    "336]],"
    "\"img_token_compression_config\": {\"image_token_compression_method\": \"patch_merge\", \"spatial_merge_size\": 2,"
    "\"temporal_patch_size\": 2},"
    "\"quantization_config\": {\"quant_method\": \"mxfp8\", \"activation_scheme\": \"dynamic\","
    "\"weight_block_size\": [1, 32], \"ignored_layers\": [\"lm_head\"]},"
    "\"text_config\": {\"architectures\": [\"MiniMaxM3SparseForCausalLM\"], \"model_type\": \"minimax_m2\","
    "\"hidden_size\": 6144, \"num_hidden_layers\": 60, \"num_attention_heads\": 64, \"num_key_value_heads\": 4,"
    "\"head_dim\": 128, \"intermediate_size\": 3072, \"shared_intermediate_size\": 3072,"
    "\"dense_intermediate_size\": 12288, \"vocab_size\": 200064, \"max_position_embeddings\": 1048576,"
    "\"rms_norm_eps\": 1e-06, \"use_gemma_norm\": true, \"use_qk_norm\": true, \"qk_norm_type\": \"per_head\","
    "\"attention_output_gate\": false, \"rope_theta\": 5000000, \"rotary_dim\": 64, \"partial_rotary_factor\": 0.5,"
    "\"hidden_act\": \"swigluoai\", \"swiglu_alpha\": 1.702, \"swiglu_limit\": 7.0, \"tie_word_embeddings\": false,"
    "\"num_local_experts\": 128, \"num_experts_per_tok\": 4, \"n_shared_experts\": 1, \"scoring_func\": \"sigmoid\","
    "\"use_routing_bias\": true, \"routed_scaling_factor\": 2.0, \"moe_layer_freq\": [" FREQ
    "], \"num_mtp_modules\": 7,"
    "\"num_nextn_predict_layers\": 1,"
    "\"sparse_attention_config\": {\"use_sparse_attention\": true, \"sparse_index_dim\": 128,"
    "\"sparse_num_index_heads\": 4, \"sparse_topk_blocks\": 16, \"sparse_block_size\": 128,"
    "\"sparse_score_type\": \"max\", \"sparse_init_block\": 0, \"sparse_local_block\": 1,"
    "\"sparse_attention_freq\": [" FREQ "], \"sparse_disable_index_value\": [" FREQ "]}},"
    "\"vision_config\": {\"hidden_size\": 1280, \"intermediate_size\": 5120, \"num_hidden_layers\": 32,"
    "\"num_attention_heads\": 16, \"num_channels\": 3, \"patch_size\": 14, \"image_size\": 2016,"
    "\"layer_norm_eps\": 1e-05, \"hidden_act\": \"gelu\", \"rope_theta\": 10000, \"rope_mode\": \"3d\","
    "\"img_token_compression_config\": {\"spatial_merge_size\": 2, \"temporal_patch_size\": 2},"
    "\"vision_segment_max_frames\": 4}}";

/* The text model alone as transformers saves it, three layers. */
static const char resaved[] =
    "{\"model_type\": \"minimax_m3_vl_text\", \"dtype\": \"bfloat16\", \"hidden_size\": 64, \"num_hidden_layers\": 3,"
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 16, \"intermediate_size\": 32,"
    "\"shared_intermediate_size\": 48, \"dense_intermediate_size\": 96, \"vocab_size\": 256,"
    "\"max_position_embeddings\": 524288, \"rms_norm_eps\": 1e-06, \"hidden_act\": \"silu\", \"swiglu_alpha\": 1.702,"
    "\"swiglu_limit\": 7.0, \"num_local_experts\": 8, \"num_experts_per_tok\": 2, \"routed_scaling_factor\": 1.5,"
    "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5000000.0, \"partial_rotary_factor\": 0.5},"
    "\"layer_types\": [\"full_attention\", \"minimax_m3_sparse\", \"full_attention\"],"
    "\"mlp_layer_types\": [\"dense\", \"sparse\", \"sparse\"], \"index_n_heads\": 2, \"index_head_dim\": 8,"
    "\"index_block_size\": 4, \"index_topk_blocks\": 3, \"index_local_blocks\": 2, \"index_init_blocks\": 1,"
    "\"attention_bias\": false, \"rope_scaling\": null, \"eos_token_id\": [5, 6], \"bos_token_id\": 1}";

/* text with `from` (the first, which must be there) replaced by `to`. */
static void change(const char *text, const char *from, const char *to, struct ox_buf *out)
{
    const char *at = strstr(text, from);
    ox_buf_clear(out);
    if (at == NULL) {
        OK(false, "\"%s\" is in the file", from);
        return;
    }
    ox_buf_add(out, text, (size_t)(at - text));
    ox_buf_add_c(out, to);
    ox_buf_add_c(out, at + strlen(from));
}

static void test_released(void)
{
    static struct ox_config c;
    struct ox_error err;
    memset(&err, 0, sizeof err);
    if (!OK(ox_config_parse(ox_str_c(released), "c", NULL, &c, &err) == OX_OK, "released file: %s", err.message)) {
        return;
    }
    OK(c.n_layers == 60 && c.hidden == 6144 && c.vocab == 200064 && c.max_positions == 1048576, "sizes");
    OK(c.n_heads == 64 && c.n_kv_heads == 4 && c.head_dim == 128 && c.rotary_dim == 64, "heads");
    OK(c.dense_inter == 12288 && c.expert_inter == 3072 && c.shared_inter == 3072, "widths");
    OK(c.n_experts == 128 && c.n_experts_used == 4 && c.routed_scale == 2.0f, "experts");
    OK(c.rope_theta == 5e6 && c.eps == 1e-6f && c.swiglu_alpha == 1.702f && c.swiglu_limit == 7.0f, "factors");
    OK(c.n_index_heads == 4 && c.index_dim == 128 && c.block == 128 && c.topk_blocks == 16, "index branch");
    OK(c.init_blocks == 0 && c.local_blocks == 1 && c.norm_adds_one, "blocks taken always, norms");
    bool lists = true;
    for (size_t i = 0; i < 60; i++) {
        lists = lists && c.moe_layer[i] == (i >= 3) && c.sparse_layer[i] == (i >= 3);
    }
    OK(lists, "kinds of layers");
    OK(c.image_token == 200025 && c.video_token == 200026 && c.bos_token == -1 && c.n_eos_tokens == 0, "tokens");
    const struct ox_vision_config *v = &c.vision;
    OK(c.has_vision && v->n_layers == 32 && v->hidden == 1280 && v->inter == 5120 && v->n_heads == 16, "vision sizes");
    OK(v->patch == 14 && v->n_channels == 3 && v->merge == 2 && v->temporal == 2 && v->segment_frames == 4 &&
           v->projector == 6144 && v->eps == 1e-5f && v->rope_theta == 10000.0,
       "vision details");
    OK(!c.has_temperature && !c.has_top_p && !c.has_top_k && !c.has_min_p, "sampling is not named here");
}

static void test_resaved(void)
{
    static struct ox_config c;
    struct ox_error err;
    memset(&err, 0, sizeof err);
    if (!OK(ox_config_parse(ox_str_c(resaved), "c", NULL, &c, &err) == OX_OK, "re-saved file: %s", err.message)) {
        return;
    }
    OK(c.n_layers == 3 && c.hidden == 64 && c.max_positions == 524288 && !c.has_vision, "sizes");
    OK(c.rotary_dim == 8 && c.rope_theta == 5e6, "rope_parameters");
    OK(!c.sparse_layer[0] && c.sparse_layer[1] && !c.sparse_layer[2], "layer_types");
    OK(!c.moe_layer[0] && c.moe_layer[1] && c.moe_layer[2], "mlp_layer_types");
    OK(c.n_index_heads == 2 && c.index_dim == 8 && c.block == 4 && c.topk_blocks == 3 && c.local_blocks == 2 &&
           c.init_blocks == 1,
       "index_ members");
    OK(c.shared_inter == 48 && c.routed_scale == 1.5f, "shared width, scale");
    OK(c.image_token == -1 && c.video_token == -1, "no media tokens");
    OK(c.bos_token == 1 && c.n_eos_tokens == 2 && c.eos_tokens[0] == 5 && c.eos_tokens[1] == 6, "end tokens");
}

/* Changes that are accepted, and what comes of them. */
static void test_accepted(void)
{
    static struct ox_config c;
    static const char *const good[][2] = {
        {"\"rotary_dim\": 64, ", ""},
        {"\"partial_rotary_factor\": 0.5,", ""},
        {"\"rope_theta\": 5000000,", "\"rope_theta\": 5e6, \"rope_parameters\": {\"rope_theta\": 5000000.0},"},
        {"\"num_mtp_modules\": 7", "\"index_head_dim\": 128.0, \"index_n_heads\": 4"},
        {"\"use_gemma_norm\": true, ", ""},
        {"\"swiglu_limit\": 7.0", "\"swiglu_limit\": 7, \"swiglu_beta\": 1.0"},
        {"\"vision_segment_max_frames\": 4", "\"x\": 0"},
        {"\"image_token_index\": 200025", "\"image_token_index\": 200025, \"image_token_id\": 200025"},
        {"\"num_mtp_modules\": 7", "\"num_mtp_modules\": 1"},
        {"\"n_shared_experts\": 1", "\"n_shared_experts\": 2"},
        {"\"shared_intermediate_size\": 3072,", ""},
    };
    struct ox_buf text;
    struct ox_error err;
    ox_buf_init(&text);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        change(released, good[i][0], good[i][1], &text);
        memset(&err, 0, sizeof err);
        const enum ox_status status = ox_config_parse(ox_buf_str(&text), "c", NULL, &c, &err);
        OK(status == OX_OK && c.rotary_dim == 64 && c.rope_theta == 5e6 && c.shared_inter == 3072 &&
               c.vision.segment_frames == 4,
           "%s -> %s %s", good[i][0], good[i][1], err.message);
    }
    change(released, "\"n_shared_experts\": 1", "\"n_shared_experts\": 0", &text);
    OK(ox_config_parse(ox_buf_str(&text), "c", NULL, &c, &err) == OX_OK && c.shared_inter == 0, "no shared expert");
    change(resaved, "\"shared_intermediate_size\": 48", "\"n_shared_experts\": 3", &text);
    OK(ox_config_parse(ox_buf_str(&text), "c", NULL, &c, &err) == OX_OK && c.shared_inter == 96,
       "shared width from the number of shared experts");
    change(resaved, "\"minimax_m3_sparse\"", "\"full_attention\"", &text);
    OK(ox_config_parse(ox_buf_str(&text), "c", NULL, &c, &err) == OX_OK && c.block == 128 && c.n_index_heads == 0,
       "no sparse layer: blocks of 128");
    change(released, "\"vision_config\"", "\"other_config\"", &text);
    OK(ox_config_parse(ox_buf_str(&text), "c", NULL, &c, &err) == OX_OK && !c.has_vision, "no vision");
    ox_buf_fini(&text);
}

struct row {
    const char *text; /* NULL: the released file */
    const char *from;
    const char *to;
    const char *message;
};

static const struct row bad[] = {
    /* both spellings, and they disagree */
    {NULL, "\"rope_theta\": 5000000,", "\"rope_theta\": 5000000, \"rope_parameters\": {\"rope_theta\": 10000},",
     "c: text_config.rope_parameters.rope_theta: expected the same as text_config.rope_theta, found 10000"},
    {NULL, "\"torch_dtype\"", "\"dtype\": \"float16\", \"torch_dtype\"",
     "c: dtype: expected the same as torch_dtype, found the string \"float16\""},
    {NULL, "\"image_token_index\"", "\"image_token_id\": 7, \"image_token_index\"",
     "c: image_token_id: expected the same as image_token_index, found 7"},
    {NULL, "\"video_token_index\"", "\"video_token_id\": 7, \"video_token_index\"",
     "c: video_token_id: expected the same as video_token_index, found 7"},
    {NULL, "\"num_mtp_modules\"", "\"index_n_heads\": 2, \"num_mtp_modules\"",
     "c: text_config.index_n_heads: expected the same as text_config.sparse_attention_config.sparse_num_index_heads, "
     "found 2"},
    {NULL, "\"num_mtp_modules\"", "\"index_head_dim\": 64, \"num_mtp_modules\"",
     "c: text_config.index_head_dim: expected the same as text_config.sparse_attention_config.sparse_index_dim, found "
     "64"},
    {NULL, "\"num_mtp_modules\"", "\"index_block_size\": 64, \"num_mtp_modules\"",
     "c: text_config.index_block_size: expected the same as text_config.sparse_attention_config.sparse_block_size, "
     "found 64"},
    {NULL, "\"num_mtp_modules\"", "\"index_topk_blocks\": 8, \"num_mtp_modules\"",
     "c: text_config.index_topk_blocks: expected the same as text_config.sparse_attention_config.sparse_topk_blocks, "
     "found 8"},
    {NULL, "\"num_mtp_modules\"", "\"index_init_blocks\": 8, \"num_mtp_modules\"",
     "c: text_config.index_init_blocks: expected the same as text_config.sparse_attention_config.sparse_init_block, "
     "found 8"},
    {NULL, "\"num_mtp_modules\"", "\"index_local_blocks\": 8, \"num_mtp_modules\"",
     "c: text_config.index_local_blocks: expected the same as text_config.sparse_attention_config.sparse_local_block, "
     "found 8"},
    {NULL, "\"patch_size\": 14", "\"patch_size\": 14, \"spatial_merge_size\": 4",
     "c: vision_config.spatial_merge_size: expected the same as "
     "vision_config.img_token_compression_config.spatial_merge_size, found 4"},
    {"resaved", "\"layer_types\"",
     "\"sparse_attention_config\": {\"sparse_attention_freq\": [0, 0, 0]}, \"layer_types\"",
     "c: layer_types[1]: expected \"full_attention\" as sparse_attention_config.sparse_attention_freq says, found the "
     "string \"minimax_m3_sparse\""},
    {"resaved", "\"layer_types\"", "\"moe_layer_freq\": [0, 1, 0], \"layer_types\"",
     "c: mlp_layer_types[2]: expected \"dense\" as moe_layer_freq says, found the string \"sparse\""},
    {NULL, "\"rotary_dim\": 64", "\"rotary_dim\": 32",
     "c: text_config.partial_rotary_factor: expected 32 of head_dim 128 to be turned as rotary_dim says, found the "
     "factor 0.5"},
    /* what would change the computation */
    {NULL, "\"attention_output_gate\": false", "\"attention_output_gate\": true",
     "c: text_config.attention_output_gate: expected false, found true"},
    {NULL, "\"use_gemma_norm\": true", "\"use_gemma_norm\": false",
     "c: text_config.use_gemma_norm: expected true, found false"},
    {NULL, "\"use_qk_norm\": true", "\"use_qk_norm\": 1", "c: text_config.use_qk_norm: expected true, found 1"},
    {NULL, "\"per_head\"", "\"per_layer\"",
     "c: text_config.qk_norm_type: expected \"per_head\", found the string \"per_layer\""},
    {NULL, "\"scoring_func\": \"sigmoid\"", "\"scoring_func\": \"softmax\"",
     "c: text_config.scoring_func: expected \"sigmoid\", found the string \"softmax\""},
    {NULL, "\"use_routing_bias\": true", "\"use_routing_bias\": false",
     "c: text_config.use_routing_bias: expected true, found false"},
    {NULL, "\"sparse_score_type\": \"max\"", "\"sparse_score_type\": \"mean\"",
     "c: text_config.sparse_attention_config.sparse_score_type: expected \"max\", found the string \"mean\""},
    {NULL, "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true",
     "c: text_config.tie_word_embeddings: expected false, found true"},
    {NULL, "\"torch_dtype\"", "\"tie_word_embeddings\": true, \"torch_dtype\"",
     "c: tie_word_embeddings: expected false, found true"},
    {NULL, "\"num_reward_heads\": 0", "\"num_reward_heads\": 1", "c: num_reward_heads: expected 0, found 1"},
    {NULL, "\"swigluoai\"", "\"gelu\"",
     "c: text_config.hidden_act: expected \"swigluoai\" or \"silu\", found the string \"gelu\""},
    {NULL, "\"num_mtp_modules\"", "\"swiglu_beta\": 0.5, \"num_mtp_modules\"",
     "c: text_config.swiglu_beta: expected 1, found 0.5"},
    {NULL, "\"num_mtp_modules\"", "\"rope_scaling\": {\"factor\": 2}, \"num_mtp_modules\"",
     "c: text_config.rope_scaling: expected null or nothing, found an object"},
    {NULL, "\"num_mtp_modules\"", "\"sliding_window\": 4096, \"num_mtp_modules\"",
     "c: text_config.sliding_window: expected null or nothing, found 4096"},
    {NULL, "\"num_mtp_modules\"", "\"attn_logit_softcapping\": 30, \"num_mtp_modules\"",
     "c: text_config.attn_logit_softcapping: expected null or nothing, found 30"},
    {NULL, "\"num_mtp_modules\"", "\"final_logit_softcapping\": 30, \"num_mtp_modules\"",
     "c: text_config.final_logit_softcapping: expected null or nothing, found 30"},
    {NULL, "\"num_mtp_modules\"", "\"attention_bias\": true, \"num_mtp_modules\"",
     "c: text_config.attention_bias: expected false, found true"},
    {NULL, "\"num_mtp_modules\"", "\"mlp_bias\": true, \"num_mtp_modules\"",
     "c: text_config.mlp_bias: expected false, found true"},
    {NULL, "\"num_mtp_modules\"", "\"norm_topk_prob\": false, \"num_mtp_modules\"",
     "c: text_config.norm_topk_prob: expected true, found false"},
    {NULL, "\"num_mtp_modules\"", "\"n_group\": 8, \"num_mtp_modules\"", "c: text_config.n_group: expected 1, found 8"},
    {NULL, "\"num_mtp_modules\"", "\"topk_group\": 8, \"num_mtp_modules\"",
     "c: text_config.topk_group: expected 1, found 8"},
    {"resaved", "\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"",
     "c: rope_parameters.rope_type: expected \"default\", found the string \"yarn\""},
    {NULL, "\"sparse_disable_index_value\": [0,0,0,1", "\"sparse_disable_index_value\": [0,0,0,0",
     "c: text_config.sparse_attention_config.sparse_disable_index_value[3]: expected an integer from 1 to 1, found 0"},
    {NULL, "\"use_sparse_attention\": true", "\"use_sparse_attention\": false",
     "c: text_config.sparse_attention_config.use_sparse_attention: expected true, because layers are listed as sparse, "
     "found false"},
    {NULL, "\"weight_block_size\": [1, 32]", "\"weight_block_size\": [1, \"32\"]",
     "c: quantization_config.weight_block_size: expected [1, 32], found an array of 2"},
    {NULL, "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"quick_gelu\"",
     "c: vision_config.hidden_act: expected \"gelu\", found the string \"quick_gelu\""},
    {NULL, "\"vision_feature_layer\": -1", "\"vision_feature_layer\": -2",
     "c: vision_feature_layer: expected -1, found -2"},
    {NULL, "\"minimax_m2\"", "\"minimax_m1\"",
     "c: text_config.model_type: expected \"minimax_m2\" or \"minimax_m3_vl_text\", found the string \"minimax_m1\""},
    /* ranges, kinds, numbers against each other */
    {NULL, "\"num_hidden_layers\": 60", "\"num_hidden_layers\": 1025",
     "c: text_config.num_hidden_layers: expected an integer from 1 to 1024, found 1025"},
    {NULL, "\"num_hidden_layers\": 60", "\"num_hidden_layers\": 61",
     "c: text_config.moe_layer_freq: expected an array of 61 (num_hidden_layers), found an array of 60"},
    {NULL, "\"num_key_value_heads\": 4", "\"num_key_value_heads\": 5",
     "c: text_config.num_key_value_heads: expected a divisor of num_attention_heads (64), found 5"},
    {NULL, "\"num_key_value_heads\": 4", "\"num_key_value_heads\": 8",
     "c: text_config.sparse_attention_config.sparse_num_index_heads: expected 8 (num_key_value_heads), found 4"},
    {NULL, "\"rotary_dim\": 64", "\"rotary_dim\": 130",
     "c: text_config.rotary_dim: expected an integer from 2 to 128, found 130"},
    {NULL, "\"rotary_dim\": 64, \"partial_rotary_factor\": 0.5", "\"rotary_dim\": 63",
     "c: text_config.rotary_dim: expected an even number from 2 on, found 63"},
    {NULL, "\"rotary_dim\": 64, \"partial_rotary_factor\": 0.5", "\"partial_rotary_factor\": 0",
     "c: text_config.rotary_dim: expected an even number from 2 on, found 0"},
    {NULL, "\"rotary_dim\": 64, \"partial_rotary_factor\": 0.5", "\"x\": 0",
     "c: text_config.rotary_dim: expected an integer from 2 to 128, found nothing"},
    {NULL, "\"sparse_index_dim\": 128", "\"sparse_index_dim\": 32",
     "c: text_config.sparse_attention_config.sparse_index_dim: expected at least 64 (rotary_dim), found 32"},
    {NULL, "\"num_experts_per_tok\": 4", "\"num_experts_per_tok\": 129",
     "c: text_config.num_experts_per_tok: expected an integer from 1 to 128, found 129"},
    {NULL, "\"moe_layer_freq\": [0", "\"moe_layer_freq\": [2",
     "c: text_config.moe_layer_freq[0]: expected an integer from 0 to 1, found 2"},
    {NULL, "\"moe_layer_freq\"", "\"moe\"",
     "c: text_config.moe_layer_freq: expected an array of 60 (num_hidden_layers), found nothing"},
    {NULL, "\"sparse_attention_freq\"", "\"freq\"",
     "c: text_config.sparse_attention_config.sparse_attention_freq: expected an array of 60 (num_hidden_layers), found "
     "nothing"},
    {"resaved", "\"full_attention\"", "\"linear_attention\"",
     "c: layer_types[0]: expected \"minimax_m3_sparse\" or \"full_attention\", found the string \"linear_attention\""},
    {NULL, "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0",
     "c: text_config.rms_norm_eps: expected a number from 1e-20 to 1, found 0"},
    {NULL, "\"swiglu_alpha\": 1.702, ", "",
     "c: text_config.swiglu_alpha: expected a number from 0 to 10000, found nothing"},
    {NULL, "\"max_position_embeddings\": 1048576", "\"max_position_embeddings\": 16777217",
     "c: text_config.max_position_embeddings: expected an integer from 1 to 16777216, found 16777217"},
    {NULL, "\"image_token_index\": 200025", "\"image_token_index\": -5",
     "c: image_token_index: expected an integer from 0 to 2147483647, found -5"},
    {NULL, "\"num_attention_heads\": 16", "\"num_attention_heads\": 15",
     "c: vision_config.num_attention_heads: expected a divisor of hidden_size (1280), found 15"},
    {NULL, "\"sparse_attention_config\": {", "\"sparse_attention_config\": 7, \"x\": {",
     "c: text_config.sparse_attention_config: expected an object, found 7"},
};

static void test_refused(void)
{
    static struct ox_config c;
    static struct ox_config before;
    struct ox_buf text;
    struct ox_error err;
    ox_buf_init(&text);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        change(bad[i].text == NULL ? released : resaved, bad[i].from, bad[i].to, &text);
        memset(&err, 0, sizeof err);
        const enum ox_status status = ox_config_parse(ox_buf_str(&text), "c", NULL, &c, &err);
        OK(status != OX_OK && status == err.code, "%s: refused", bad[i].to);
        IS_STR(err.message, bad[i].message, bad[i].to);
    }
    OK(memcmp(&c, &before, sizeof c) == 0, "a refused file sets nothing");
    ox_buf_fini(&text);
}

static void hear(void *user, enum ox_log_level level, const char *text)
{
    if (level == OX_LOG_DEBUG) {
        snprintf(user, 256, "%s", text);
    }
}

static void test_generation(void)
{
    static struct ox_config c;
    char heard[256] = "";
    const struct ox_log log = {hear, NULL, heard};
    struct ox_error err;
    OK(ox_config_parse(ox_str_c(released), "c", &log, &c, &err) == OX_OK, "released file");
    IS_STR(heard, "c: text_config.num_mtp_modules: ignored, released files hold no such modules", "a remark");
    const char *text = "{\"do_sample\": true, \"temperature\": 1.0, \"top_p\": 0.95, \"bos_token_id\": 200019, "
                       "\"eos_token_id\": 200020}";
    OK(ox_config_parse_generation(ox_str_c(text), "g", &c, &err) == OX_OK, "released generation_config.json");
    OK(c.has_temperature && c.temperature == 1.0f && c.has_top_p && c.top_p == 0.95f && !c.has_top_k && !c.has_min_p,
       "sampling");
    OK(c.bos_token == 200019 && c.n_eos_tokens == 1 && c.eos_tokens[0] == 200020, "tokens");
    text = "{\"do_sample\": false, \"top_k\": 40, \"min_p\": 0.05, \"eos_token_id\": [1, 2, 3], \"top_p\": null}";
    OK(ox_config_parse_generation(ox_str_c(text), "g", &c, &err) == OX_OK, "another");
    OK(c.has_temperature && c.temperature == 0 && c.has_top_k && c.top_k == 40 && c.has_min_p && c.min_p == 0.05f &&
           !c.has_top_p && c.n_eos_tokens == 3 && c.eos_tokens[2] == 3,
       "greedy, top_k, min_p, a list of end tokens");
    static const char *const refused[][2] = {
        {"[]", "g: expected an object, found an array of 0"},
        {"{\"temperature\": -1}", "g: temperature: expected a number from 0 to 100, found -1"},
        {"{\"top_p\": 1.5}", "g: top_p: expected a number from 0 to 1, found 1.5"},
        {"{\"top_k\": -1}", "g: top_k: expected an integer from 0 to 2147483647, found -1"},
        {"{\"min_p\": \"x\"}", "g: min_p: expected a number from 0 to 1, found the string \"x\""},
        {"{\"do_sample\": 1}", "g: do_sample: expected true or false, found 1"},
        {"{\"eos_token_id\": [1, null]}", "g: eos_token_id[1]: expected an id, found nothing"},
        {"{\"eos_token_id\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
         "g: eos_token_id: expected an id or at most 16 of them, found an array of 17"},
        {"{\"bos_token_id\": 2147483648}",
         "g: bos_token_id: expected an integer from 0 to 2147483647, found 2147483648"},
    };
    const struct ox_config before = c;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        IS_INT(ox_config_parse_generation(ox_str_c(refused[i][0]), "g", &c, &err), OX_E_FORMAT, refused[i][0]);
        IS_STR(err.message, refused[i][1], "and why");
    }
    OK(memcmp(&c, &before, sizeof c) == 0, "refused files change nothing");
}

int main(void)
{
    test_released();
    test_resaved();
    test_accepted();
    test_refused();
    test_generation();
    return tap_done();
}
