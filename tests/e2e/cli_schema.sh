#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart run --json-schema on the demonstration model: whatever the draw, the answer validates; schemas that are wrong.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"
validate=$build/tests/e2e/validate_json

cat > "$work/person" <<'END'
{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
 "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 3}}, "required": ["name", "age"], "additionalProperties": false}
END
cat > "$work/city" <<'END'
{"type": "string", "enum": ["Paris", "Rome", "Madrid", "Lima"]}
END
cat > "$work/number" <<'END'
{"type": "number", "minimum": 40, "maximum": 43}
END
cat > "$work/list" <<'END'
{"type": "array", "items": {"anyOf": [{"type": "boolean"}, {"type": "null"}, {"type": "string", "pattern": "^[A-Z][a-z]{1,8}$"},
 {"type": "object", "properties": {"date": {"type": "string", "format": "date"}}, "required": ["date"]}]}, "minItems": 1, "maxItems": 4}
END

# ---- what chance draws, and what the model wants
for schema in person city number list; do
    for seed in 1 2 3 4 5 6 7 8; do
        ox run -q --seed=$seed --temperature=3 --top-k=0 --top-p=1 -n 400 --json-schema="$work/$schema" "What is the capital of France?"
        [ "$status" -eq 0 ] && printf '%s' "$out" | "$validate" "$work/$schema" 2> "$work/why"
        ok $? "$schema, seed $seed: $(printf '%s' "$out" | tr '\n#' '  ' | cut -c 1-60) $(cat "$work/why")"
    done
done
printf '"Paris' | "$validate" "$work/city" 2> /dev/null
[ $? -eq 1 ] && ! printf '"Berlin"' | "$validate" "$work/city" 2> /dev/null
ok $? "the validator can say no"
ox run -q --greedy --json-schema="$work/city" "What is the capital of France?"
has "$out" '^"(Paris|Rome|Madrid|Lima)"$' "greedy, one of the values"
ox run -q --greedy --json-schema="$work/number" "Add 12 and 30."
is "$out" "42$nl" "a number"
one=$("$oxcart" run -q --seed=5 --temperature=3 --json-schema="$work/person" x)
is "$("$oxcart" run -q --seed=5 --temperature=3 -t 1 --json-schema="$work/person" x)" "$one" "equal seeds, equal answers"

# ---- thinking
ox run -q --greedy --thinking=enabled --json --json-schema="$work/number" "Add 12 and 30."
has "$out" '^\{"content": "42", "reasoning_content": "2 \+ 0 = 2\. 1 \+ 3 \+ 0 = 4\.", "finish_reason": "stop"' "thinking is free, then comes the answer"
for seed in 1 2 3 4; do
    ox run -q --seed=$seed --temperature=1.5 --thinking=disabled --json --json-schema="$work/list" "Add 12 and 30."
    printf '%s' "$out" | grep -q reasoning_content
    [ $? -eq 1 ]
    ok $? "disabled: no thinking, seed $seed"
done
ox run -q --greedy --json -n 2 --json-schema="$work/person" x
has "$out" '"finish_reason": "length"' "an answer that is cut off says so"
ox run -q --greedy --json-schema=- -p "Add 12 and 30." < "$work/number"
is "$out" "42$nl" "--json-schema=-"

# ---- schemas that are wrong
# refuse SCHEMA STATUS MESSAGE NAME
refuse() {
    printf '%s' "$1" > "$work/bad"
    ox run -q --json-schema="$work/bad" x
    is "$status:$out" "$2:" "$4: $2"
    has "$err" "^oxcart: $work/bad: $3" "its message"
}
refuse '{"type": "object", "properties": {"a": {"not": {}}}}' 2 'json-schema: #/properties/a: the keyword "not" is not supported' "a keyword that is not supported"
refuse '{"type": "string", "pattern": "a\\b"}' 2 'json-schema: #: the pattern ' "a pattern that is not supported"
refuse '{"type": "integer", "minimum": 2, "maximum": 1}' 2 'json-schema: #: nothing can satisfy this schema' "what nothing satisfies"
refuse '{"type": ' 2 'json-schema: not valid JSON' "no JSON"
refuse '' 2 'json-schema: not valid JSON' "an empty file"
ox run -q --json-schema="$work/missing" x
is "$status:$out" "1:" "a file that is not there: 1"
has "$err" "^oxcart: $work/missing: " "its message"
ox chat --json-schema="$work/city" < /dev/null
is "$status" 2 "chat does not know it"
done_testing
