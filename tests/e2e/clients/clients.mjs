// SPDX-License-Identifier: Apache-2.0
//
// The official clients of OpenAI and Anthropic against a server with the demonstration model: what a program does that was
// written for those services. Argument: the server's address. Prints TAP.
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const url = process.argv[2];
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
const model = (await openai.models.list()).data[0].id;

// ---- TAP

let n = 0;
let failed = 0;
async function test(name, run) {
  n++;
  try {
    await run();
    console.log(`ok ${n} - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${n} - ${name}`);
    console.log(String(error.stack ?? error).replace(/^/gm, "# "));
  }
}

// ---- what is asked

const france = { role: "user", content: "What is the capital of France?" };
const paris = "The capital of France is Paris.";
const weather = {
  name: "get_weather",
  description: "Current weather of a city",
  schema: {
    type: "object",
    properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
    required: ["city"],
  },
};
const clock = {
  name: "get_time",
  description: "Local time of a city",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const rome = { role: "user", content: "What is the weather in Rome?" };
const sunny = "20 degrees, sunny";
const answered = `The weather in Rome is ${sunny}.`;
const cities = {
  type: "object",
  properties: { city: { type: "string", enum: ["Paris", "Rome"] }, big: { type: "boolean" } },
  required: ["city", "big"],
  additionalProperties: false,
};
function isCity(text) {
  const value = JSON.parse(text);
  assert.deepEqual(Object.keys(value), ["city", "big"]);
  assert.ok(["Paris", "Rome"].includes(value.city) && typeof value.big === "boolean");
}

// An answer that may call, but else has a form: one or the other, whole.
function isCityOrCall(text, calls) {
  if (calls.length === 0) {
    isCity(text);
  }
  for (const call of calls) {
    assert.ok(["get_weather", "get_time"].includes(call.name));
    assert.equal(typeof call.input.city, "string");
    assert.equal(text ?? "", "");
  }
}

async function all(stream) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
  }
  return events;
}

async function refusal(promise, kind, status, param) {
  const error = await promise.then(
    () => assert.fail("accepted"),
    (why) => why,
  );
  assert.ok(error instanceof kind, String(error));
  assert.equal(error.status, status);
  if (param !== undefined) {
    assert.equal(error.param, param);
  }
  return error;
}

// A red square in the middle of a white picture, as PNG.
function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) {
      c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    }
  }
  return ~c >>> 0;
}
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const head = Buffer.alloc(4);
  const tail = Buffer.alloc(4);
  head.writeUInt32BE(data.length);
  tail.writeUInt32BE(crc(body));
  return Buffer.concat([head, body, tail]);
}
function picture() {
  const side = 112;
  const rows = Buffer.alloc(side * (1 + 3 * side), 255);
  for (let y = 0; y < side; y++) {
    rows[y * (1 + 3 * side)] = 0;
    for (let x = 0; x < side; x++) {
      if (Math.abs(x - 56) < 28 && Math.abs(y - 56) < 28) {
        rows.set([220, 30, 30], y * (1 + 3 * side) + 1 + 3 * x);
      }
    }
  }
  const size = Buffer.alloc(13);
  size.writeUInt32BE(side, 0);
  size.writeUInt32BE(side, 4);
  size.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]),
    chunk("IHDR", size),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]).toString("base64");
}
const png = picture();
const look = "Describe this image in one sentence.";

// ---- OpenAI: models

await test("models.list, models.retrieve", async () => {
  const found = await openai.models.retrieve(model);
  assert.equal(found.id, model);
  assert.equal(found.object, "model");
  await refusal(openai.models.retrieve("gpt-0"), OpenAI.NotFoundError, 404);
});

// ---- OpenAI: chat completions

const chat = { model, temperature: 0, messages: [france] };
const functions = [weather, clock].map((tool) => ({
  type: "function",
  function: { name: tool.name, description: tool.description, parameters: tool.schema },
}));

await test("chat.completions.create", async () => {
  const reply = await openai.chat.completions.create(chat);
  assert.equal(reply.choices[0].message.content, paris);
  assert.equal(reply.choices[0].message.role, "assistant");
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
});

await test("chat.completions.create, stream with usage", async () => {
  const chunks = await all(
    await openai.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }),
  );
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), paris);
  assert.ok(chunks.length > 4);
  assert.equal(chunks.at(-1).choices.length, 0);
  assert.ok(chunks.at(-1).usage.completion_tokens > 4);
});

await test("chat.completions.stream", async () => {
  const stream = openai.chat.completions.stream(chat);
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const reply = await stream.finalChatCompletion();
  assert.equal(reply.choices[0].message.content, paris);
  assert.equal(text, paris);
});

await test("chat.completions: a stream that the client leaves", async () => {
  const stream = await openai.chat.completions.create({ ...chat, stream: true });
  for await (const event of stream) {
    assert.ok(event.choices.length === 1);
    break;
  }
  assert.ok(stream.controller.signal.aborted);
});

await test("chat.completions: seed, n, max_tokens, stop, logit_bias", async () => {
  const ask = { ...chat, temperature: 1, seed: 7, n: 3, max_tokens: 6 };
  const a = await openai.chat.completions.create(ask);
  const b = await openai.chat.completions.create(ask);
  assert.equal(a.choices.length, 3);
  assert.deepEqual(
    a.choices.map((c) => c.message.content),
    b.choices.map((c) => c.message.content),
  );
  const cut = await openai.chat.completions.create({ ...chat, max_completion_tokens: 2 });
  assert.equal(cut.choices[0].finish_reason, "length");
  assert.equal(cut.usage.completion_tokens, 2);
  const stopped = await openai.chat.completions.create({ ...chat, stop: [" is"] });
  assert.equal(stopped.choices[0].message.content, "The capital of France");
  const biased = await openai.chat.completions.create({ ...chat, max_tokens: 3, logit_bias: { 65: 100 } });
  assert.ok(biased.choices.length === 1);
});

await test("chat.completions: logprobs", async () => {
  const reply = await openai.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 3 });
  const tokens = reply.choices[0].logprobs.content;
  assert.equal(tokens.map((t) => t.token).join(""), paris);
  assert.ok(tokens.every((t) => t.logprob <= 0 && t.top_logprobs.length === 3 && t.bytes.length > 0));
  assert.equal(tokens[0].top_logprobs[0].token, tokens[0].token);
});

await test("chat.completions: thinking", async () => {
  const reply = await openai.chat.completions.create({
    ...chat,
    reasoning_effort: "high",
    messages: [{ role: "user", content: "What is 21 plus 34?" }],
  });
  const message = reply.choices[0].message;
  assert.ok(message.reasoning_content.length > 0);
  assert.equal(message.reasoning, message.reasoning_content);
  assert.equal(message.content, "55");
  assert.ok(reply.usage.completion_tokens_details.reasoning_tokens > 0);
});

await test("chat.completions: tools, whole and streamed, and their results", async () => {
  const ask = { ...chat, messages: [rome], tools: functions };
  const reply = await openai.chat.completions.create(ask);
  const message = reply.choices[0].message;
  assert.equal(reply.choices[0].finish_reason, "tool_calls");
  assert.equal(message.tool_calls[0].function.name, "get_weather");
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Rome" });
  const streamed = await openai.chat.completions.stream(ask).finalChatCompletion();
  assert.deepEqual(JSON.parse(streamed.choices[0].message.tool_calls[0].function.arguments), { city: "Rome" });
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: sunny };
  const last = await openai.chat.completions.create({ ...ask, messages: [rome, message, result] });
  assert.equal(last.choices[0].message.content, answered);
});

await test("chat.completions: a call that was cut off goes back as it came", async () => {
  const ask = { ...chat, messages: [rome], tools: [...functions, { type: "custom", custom: { name: "apply_patch" } }] };
  const whole = await openai.chat.completions.create(ask);
  const n = whole.usage.completion_tokens;
  let cut = 0;
  for (let max_tokens = n - 6; max_tokens < n; max_tokens++) {
    const stream = openai.chat.completions.stream({ ...ask, max_tokens });
    let message;
    stream.on("chunk", (_, snapshot) => (message = snapshot.choices[0].message));
    await stream.done().catch((why) => assert.ok(why instanceof OpenAI.LengthFinishReasonError, String(why)));
    cut += message.tool_calls?.[0].function.arguments === '{"city": "Rome"}' ? 0 : 1;
    const next = { role: "user", content: "Again, please." };
    const reply = await openai.chat.completions.create({ ...ask, messages: [rome, message, next] });
    assert.equal(reply.object, "chat.completion");
  }
  assert.ok(cut > 0);
});

await test("chat.completions.runTools", async () => {
  const asked = [];
  const runner = openai.chat.completions.runTools({
    ...chat,
    messages: [rome],
    tools: [
      {
        type: "function",
        function: {
          name: weather.name,
          description: weather.description,
          parameters: weather.schema,
          parse: JSON.parse,
          function: (input) => {
            asked.push(input.city);
            return sunny;
          },
        },
      },
      functions[1],
    ],
  });
  assert.equal(await runner.finalContent(), answered);
  assert.deepEqual(asked, ["Rome"]);
});

await test("chat.completions: tool_choice required, named, none", async () => {
  const ask = { ...chat, tools: functions, max_tokens: 60 };
  const required = await openai.chat.completions.create({ ...ask, tool_choice: "required" });
  assert.ok(required.choices[0].message.tool_calls.length > 0);
  const named = await openai.chat.completions.create({
    ...ask,
    tool_choice: { type: "function", function: { name: "get_time" } },
    parallel_tool_calls: false,
  });
  assert.deepEqual(
    named.choices[0].message.tool_calls.map((c) => c.function.name),
    ["get_time"],
  );
  const none = await openai.chat.completions.create({ ...ask, tool_choice: "none" });
  assert.equal(none.choices[0].message.content, paris);
});

await test("chat.completions: json_schema and json_object", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema: cities } };
  const reply = await openai.chat.completions.create({ ...chat, response_format });
  isCity(reply.choices[0].message.content);
  const any = await openai.chat.completions.create({
    ...chat,
    max_tokens: 200,
    response_format: { type: "json_object" },
  });
  if (any.choices[0].finish_reason === "stop") {
    assert.equal(typeof JSON.parse(any.choices[0].message.content), "object");
  }
});

await test("chat.completions: a form and tools that need not be called", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema: cities } };
  for (const strict of [true, false]) {
    const tools = functions.map((tool) => ({ ...tool, function: { ...tool.function, strict } }));
    for (const message of [rome, france]) {
      const ask = { ...chat, messages: [message], tools, response_format, max_tokens: 200 };
      const { content, tool_calls } = (await openai.chat.completions.create(ask)).choices[0].message;
      const calls = (tool_calls ?? []).map(({ function: f }) => ({ name: f.name, input: JSON.parse(f.arguments) }));
      isCityOrCall(content, calls);
      assert.ok(message !== rome || calls[0].input.city === "Rome");
    }
  }
});

await test("chat.completions: a picture", async () => {
  const reply = await openai.chat.completions.create({
    ...chat,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: look },
          { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
        ],
      },
    ],
  });
  assert.match(reply.choices[0].message.content, /red square/);
});

await test("chat.completions: refusals", async () => {
  await refusal(openai.chat.completions.create({ ...chat, messages: [] }), OpenAI.BadRequestError, 400, "messages");
  await refusal(openai.chat.completions.create({ ...chat, top_p: 2 }), OpenAI.BadRequestError, 400, "top_p");
  await refusal(openai.chat.completions.create({ ...chat, model: "gpt-0" }), OpenAI.NotFoundError, 404, "model");
  await refusal(openai.embeddings.create({ model, input: "a" }), OpenAI.APIError, 501);
});

// ---- OpenAI: completions

await test("completions.create, whole and streamed", async () => {
  const ask = { model, prompt: "What is the capital", temperature: 0, max_tokens: 5 };
  const reply = await openai.completions.create({ ...ask, logprobs: 2, stop: ["\n\n"] });
  assert.equal(reply.object, "text_completion");
  assert.ok(reply.choices[0].logprobs.tokens.length > 0);
  const echo = await openai.completions.create({ ...ask, echo: true });
  assert.ok(echo.choices[0].text.startsWith("What is the capital"));
  const chunks = await all(await openai.completions.create({ ...ask, stream: true }));
  assert.equal(echo.choices[0].text, "What is the capital" + chunks.map((c) => c.choices[0]?.text ?? "").join(""));
});

// ---- OpenAI: responses

const respond = { model, temperature: 0, input: france.content };
const flat = [weather, clock].map((tool) => ({
  type: "function",
  name: tool.name,
  description: tool.description,
  parameters: tool.schema,
  strict: true,
}));

await test("responses.create", async () => {
  const reply = await openai.responses.create({ ...respond, instructions: "Be brief.", metadata: { a: "b" } });
  assert.equal(reply.output_text, paris);
  assert.equal(reply.status, "completed");
  assert.equal(reply.instructions, "Be brief.");
  assert.deepEqual(reply.metadata, { a: "b" });
  assert.equal(reply.usage.total_tokens, reply.usage.input_tokens + reply.usage.output_tokens);
});

await test("responses.create, stream", async () => {
  const events = await all(await openai.responses.create({ ...respond, stream: true }));
  assert.deepEqual(
    events.map((e) => e.sequence_number),
    events.map((e, i) => i),
  );
  const kinds = events.map((e) => e.type).filter((type, i, types) => type !== types[i - 1]);
  assert.deepEqual(kinds, [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
  ]);
  assert.equal(
    events
      .filter((e) => e.type === "response.output_text.delta")
      .map((e) => e.delta)
      .join(""),
    paris,
  );
});

await test("responses.stream, with thinking", async () => {
  const stream = openai.responses.stream({
    ...respond,
    input: "What is 21 plus 34?",
    reasoning: { effort: "high" },
  });
  let thoughts = "";
  stream.on("response.reasoning_text.delta", (event) => (thoughts += event.delta));
  const reply = await stream.finalResponse();
  assert.equal(reply.output_text, "55");
  assert.equal(reply.output[0].type, "reasoning");
  assert.equal(reply.output[0].content[0].text, thoughts);
  assert.ok(thoughts.length > 0 && reply.usage.output_tokens_details.reasoning_tokens > 0);
});

await test("responses: tools, streamed, and their results", async () => {
  const ask = { ...respond, input: [rome], tools: flat };
  const stream = openai.responses.stream(ask);
  let pieces = "";
  stream.on("response.function_call_arguments.delta", (event) => (pieces += event.delta));
  const reply = await stream.finalResponse();
  const call = reply.output.find((item) => item.type === "function_call");
  assert.equal(call.name, "get_weather");
  assert.equal(call.status, "completed");
  assert.deepEqual(JSON.parse(call.arguments), { city: "Rome" });
  assert.equal(pieces, call.arguments);
  const whole = await openai.responses.create(ask);
  assert.deepEqual(
    whole.output.map((item) => item.arguments ?? item.type),
    reply.output.map((item) => item.arguments ?? item.type),
  );
  const last = await openai.responses.create({
    ...ask,
    input: [rome, ...whole.output, { type: "function_call_output", call_id: whole.output.at(-1).call_id, output: sunny }],
  });
  assert.equal(last.output_text, answered);
});

await test("responses: tool_choice, text.format, logprobs, limit", async () => {
  const named = await openai.responses.create({
    ...respond,
    tools: flat,
    tool_choice: { type: "function", name: "get_time" },
    parallel_tool_calls: false,
    max_output_tokens: 60,
  });
  assert.equal(named.output.at(-1).name, "get_time");
  const form = await openai.responses.create({
    ...respond,
    text: { format: { type: "json_schema", name: "city", strict: true, schema: cities } },
  });
  isCity(form.output_text);
  const spelled = await openai.responses.create({
    ...respond,
    include: ["message.output_text.logprobs"],
    top_logprobs: 2,
  });
  const tokens = spelled.output[0].content[0].logprobs;
  assert.equal(tokens.map((t) => t.token).join(""), paris);
  assert.ok(tokens.every((t) => t.top_logprobs.length === 2));
  const cut = await openai.responses.create({ ...respond, max_output_tokens: 2 });
  assert.equal(cut.status, "incomplete");
  assert.equal(cut.incomplete_details.reason, "max_output_tokens");
});

await test("responses: a form and tools that need not be called", async () => {
  for (const question of [rome, france]) {
    const reply = await openai.responses.create({
      ...respond,
      input: [question],
      tools: flat,
      text: { format: { type: "json_schema", name: "city", strict: true, schema: cities } },
      max_output_tokens: 200,
    });
    const calls = reply.output.filter((item) => item.type === "function_call");
    isCityOrCall(
      reply.output_text,
      calls.map((call) => ({ name: call.name, input: JSON.parse(call.arguments) })),
    );
  }
});

await test("responses: a namespace of functions", async () => {
  const ask = {
    ...respond,
    tools: [{ type: "namespace", name: "geo", description: "Places", tools: flat }],
    max_output_tokens: 60,
  };
  const reply = await openai.responses.create({ ...ask, input: [rome], tool_choice: "required" });
  const call = reply.output.at(-1);
  assert.equal(call.namespace, "geo");
  assert.ok(["get_weather", "get_time"].includes(call.name));
  const result = { type: "function_call_output", call_id: call.call_id, output: sunny };
  const last = await openai.responses.create({ ...ask, input: [rome, ...reply.output, result] });
  assert.equal(last.status, "completed");
});

await test("responses: a picture", async () => {
  const reply = await openai.responses.create({
    ...respond,
    input: [
      {
        role: "user",
        content: [
          { type: "input_text", text: look },
          { type: "input_image", image_url: `data:image/png;base64,${png}`, detail: "auto" },
        ],
      },
    ],
  });
  assert.match(reply.output_text, /red square/);
});

await test("responses.inputTokens.count", async () => {
  const counted = await openai.responses.inputTokens.count({ model, input: france.content });
  const reply = await openai.responses.create(respond);
  assert.equal(counted.object, "response.input_tokens");
  assert.equal(counted.input_tokens, reply.usage.input_tokens);
});

await test("responses: refusals", async () => {
  const error = await refusal(
    openai.responses.create({ ...respond, previous_response_id: "resp_1" }),
    OpenAI.BadRequestError,
    400,
    "previous_response_id",
  );
  assert.equal(error.code, "previous_response_not_found");
  // Tools that only OpenAI runs are not shown to the model; demanding one is an error.
  const plain = await openai.responses.create({ ...respond, tools: [{ type: "web_search" }] });
  assert.match(plain.output_text, /Paris/);
  await refusal(
    openai.responses.create({ ...respond, tools: [{ type: "web_search" }], tool_choice: { type: "web_search" } }),
    OpenAI.BadRequestError,
    400,
    "tool_choice.type",
  );
  await refusal(openai.responses.create({ ...respond, model: "gpt-0" }), OpenAI.NotFoundError, 404, "model");
});

// ---- Anthropic: messages

const talk = { model, max_tokens: 100, temperature: 0, messages: [france] };
const tools = [weather, clock].map((tool) => ({
  name: tool.name,
  description: tool.description,
  input_schema: tool.schema,
}));

await test("messages.create", async () => {
  const message = await anthropic.messages.create({ ...talk, system: [{ type: "text", text: "Be brief." }] });
  assert.equal(message.content[0].text, paris);
  assert.equal(message.content.length, 1);
  assert.equal(message.stop_reason, "end_turn");
  assert.equal(message.stop_sequence, null);
  assert.ok(message.usage.output_tokens > 4 && message.usage.input_tokens > 0);
});

await test("messages.create, stream", async () => {
  const events = await all(await anthropic.messages.create({ ...talk, stream: true }));
  const kinds = events.map((e) => e.type).filter((type, i, types) => type !== types[i - 1]);
  assert.deepEqual(kinds, [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  assert.equal(
    events
      .filter((e) => e.type === "content_block_delta")
      .map((e) => e.delta.text)
      .join(""),
    paris,
  );
});

await test("messages.stream, with thinking", async () => {
  const stream = anthropic.messages.stream({
    ...talk,
    max_tokens: 2000,
    thinking: { type: "enabled", budget_tokens: 1024 },
    messages: [{ role: "user", content: "What is 21 plus 34?" }],
  });
  let text = "";
  let thoughts = "";
  stream.on("text", (delta) => (text += delta));
  stream.on("thinking", (delta) => (thoughts += delta));
  const message = await stream.finalMessage();
  assert.deepEqual(
    message.content.map((block) => block.type),
    ["thinking", "text"],
  );
  assert.equal(message.content[0].thinking, thoughts);
  assert.ok(message.content[0].signature.length > 0);
  assert.equal(message.content[1].text, text);
  assert.equal(text, "55");
});

await test("messages: tools, whole and streamed, and their results", async () => {
  const ask = { ...talk, messages: [rome], tools };
  const message = await anthropic.messages.create(ask);
  const use = message.content.at(-1);
  assert.equal(message.stop_reason, "tool_use");
  assert.equal(use.type, "tool_use");
  assert.equal(use.name, "get_weather");
  assert.deepEqual(use.input, { city: "Rome" });
  const streamed = await anthropic.messages.stream(ask).finalMessage();
  assert.deepEqual(streamed.content.at(-1).input, { city: "Rome" });
  const last = await anthropic.messages.create({
    ...ask,
    messages: [
      rome,
      { role: "assistant", content: message.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: sunny }] },
    ],
  });
  assert.equal(last.content[0].text, answered);
});

await test("beta.messages.toolRunner", async () => {
  const asked = [];
  const message = await anthropic.beta.messages.toolRunner({
    ...talk,
    messages: [rome],
    tools: [
      {
        ...tools[0],
        type: "custom",
        parse: (input) => input,
        run: (input) => {
          asked.push(input.city);
          return sunny;
        },
      },
    ],
  });
  assert.deepEqual(asked, ["Rome"]);
  assert.equal(message.content[0].text, answered);
});

await test("messages: tool_choice any, tool, none", async () => {
  const ask = { ...talk, tools };
  const any = await anthropic.messages.create({ ...ask, tool_choice: { type: "any" } });
  assert.equal(any.content[0].type, "tool_use");
  const named = await anthropic.messages.create({
    ...ask,
    tool_choice: { type: "tool", name: "get_time", disable_parallel_tool_use: true },
  });
  assert.deepEqual(
    named.content.map((block) => block.name),
    ["get_time"],
  );
  const none = await anthropic.messages.create({ ...ask, tool_choice: { type: "none" } });
  assert.equal(none.content[0].text, paris);
});

await test("messages: stop_sequences, max_tokens, output_config", async () => {
  const stopped = await anthropic.messages.create({ ...talk, stop_sequences: ["Berlin", " is"] });
  assert.equal(stopped.stop_reason, "stop_sequence");
  assert.equal(stopped.stop_sequence, " is");
  assert.equal(stopped.content[0].text, "The capital of France");
  const cut = await anthropic.messages.create({ ...talk, max_tokens: 2 });
  assert.equal(cut.stop_reason, "max_tokens");
  const form = await anthropic.messages.create({
    ...talk,
    output_config: { format: { type: "json_schema", schema: cities } },
  });
  isCity(form.content[0].text);
});

await test("messages: a form and tools that need not be called", async () => {
  for (const question of [rome, france]) {
    const message = await anthropic.messages.create({
      ...talk,
      max_tokens: 200,
      messages: [question],
      tools,
      output_config: { format: { type: "json_schema", schema: cities } },
    });
    const text = message.content.filter((block) => block.type === "text").map((block) => block.text);
    isCityOrCall(
      text.join(""),
      message.content.filter((block) => block.type === "tool_use"),
    );
  }
});

await test("messages: a picture", async () => {
  const message = await anthropic.messages.create({
    ...talk,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
          { type: "text", text: look },
        ],
      },
    ],
  });
  assert.match(message.content[0].text, /red square/);
});

await test("files of text are text", async () => {
  const note = "Oslo is in Norway.";
  const data = Buffer.from(note).toString("base64");
  const ask = { type: "text", text: france.content };
  const count = async (content) =>
    (await anthropic.messages.countTokens({ model, messages: [{ role: "user", content }] })).input_tokens;
  const expected = await count([{ type: "text", text: `notes.txt\n\n${note}\n\n` }, ask]);
  const title = "notes.txt";
  for (const source of [
    { type: "text", media_type: "text/plain", data: note },
    { type: "base64", media_type: "text/plain", data },
    { type: "content", content: note },
  ]) {
    assert.equal(await count([{ type: "document", title, source }, ask]), expected);
  }
  const file_data = `data:text/plain;base64,${data}`;
  const input = [
    {
      role: "user",
      content: [
        { type: "input_file", filename: title, file_data },
        { type: "input_text", text: france.content },
      ],
    },
  ];
  const plain = await openai.responses.inputTokens.count({
    model,
    input: [{ role: "user", content: `notes.txt\n\n${note}\n\n${france.content}` }],
  });
  assert.equal((await openai.responses.inputTokens.count({ model, input })).input_tokens, plain.input_tokens);
  const reply = await openai.chat.completions.create({
    ...chat,
    messages: [{ role: "user", content: [{ type: "file", file: { filename: title, file_data } }, ask] }],
  });
  assert.equal(reply.usage.prompt_tokens, plain.input_tokens);
  const pdf = { type: "base64", media_type: "application/pdf", data: Buffer.from("%PDF-1.7").toString("base64") };
  await refusal(
    anthropic.messages.create({ ...talk, messages: [{ role: "user", content: [{ type: "document", source: pdf }] }] }),
    Anthropic.BadRequestError,
    400,
  );
});

await test("messages.countTokens", async () => {
  const counted = await anthropic.messages.countTokens({ model, messages: [france] });
  const message = await anthropic.messages.create(talk);
  assert.equal(counted.input_tokens, message.usage.input_tokens + message.usage.cache_read_input_tokens);
});

await test("messages: refusals", async () => {
  const error = await refusal(
    anthropic.messages.create({ ...talk, max_tokens: 0 }),
    Anthropic.BadRequestError,
    400,
  );
  assert.equal(error.error.error.type, "invalid_request_error");
  assert.match(error.error.error.message, /^max_tokens/);
  const missing = await refusal(
    anthropic.messages.create({ ...talk, model: "none-0" }),
    Anthropic.NotFoundError,
    404,
  );
  assert.equal(missing.error.error.type, "not_found_error");
  await refusal(anthropic.messages.create({ ...talk, messages: [] }), Anthropic.BadRequestError, 400);
});

console.log(`1..${n}`);
process.exitCode = failed === 0 ? 0 : 1;
