#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# oxcart serve on the demonstration model, over real sockets: endpoints, limits, keys, origins, streams, clients that leave
# or do not read, a full queue, signals, a restart with the cache folder.
. "${abs_top_srcdir:-.}/tests/e2e/cli_lib.sh"
. "${abs_top_srcdir:-.}/tests/e2e/serve_lib.sh"

if ! command -v curl > /dev/null || ! command -v openssl > /dev/null; then
    echo "1..0 # SKIP curl or openssl is missing"
    exit 0
fi
if "$oxcart" serve --max-body=0 2>&1 | grep -q 'built without'; then
    echo "1..0 # SKIP built without the HTTP server"
    exit 0
fi
# Thousands of tokens, whatever the model says.
long='{"prompt":"Once upon","max_tokens":30000,"ignore_eos":true,"stream":true}'
long_quiet='{"prompt":"Once upon","max_tokens":30000,"ignore_eos":true}'
short='{"prompt":"What is the","max_tokens":4,"temperature":0,"ignore_eos":true}'

# ---- what is refused before anything is loaded
ox serve --port=0 --host=0.0.0.0
is "$status" 2 "an address that others can reach, without a key: 2"
has "$err" '0\.0\.0\.0.*--api-key-file.*--insecure' "its message"
ox serve --port=0 --max-body=many
is "$status" 2 "a size that is none: 2"
ox serve --port=0 --api-key-file="$work/missing"
is "$status" 1 "keys that cannot be read: 1"
printf '# nothing\n\n' > "$work/keys"
ox serve --port=0 --api-key-file="$work/keys"
is "$status" 1 "no key in the file: 1"
has "$err" 'expected a key on a line' "its message"
ox serve --port=0 --tls-cert="$work/keys"
is "$status" 2 "a certificate without its key: 2"
ox serve --port=0 -m "$work"
is "$status" 3 "a model that is none: 3"

# ---- what the one who starts it is told
"$build/tests/bench/make_model" "$work/sharded" "$demo/tokenizer.json" 4
"$raw" 0 notify "$work/socket" > "$work/told" &
manager=$!
await test -S "$work/socket"
NOTIFY_SOCKET=$work/socket
export NOTIFY_SOCKET
serve -m "$work/sharded"
unset NOTIFY_SOCKET
stop
wait "$manager"
is "$(cat "$work/told")" 'STATUS=loading the model
STATUS=loading the model: 25 %
STATUS=loading the model: 50 %
STATUS=loading the model: 75 %
STATUS=loading the model: 100 %
READY=1 STATUS=ready
STOPPING=1 STATUS=finishing the answers' "how far loading is, and when it is ready"
rm -rf "$work/sharded"

# ---- endpoints
serve -v --alias=tiny --trace="$work/trace" --max-body=200k -c 2048
has "$(cat "$work/serve")" '^oxcart: serving tiny at http://127\.0\.0\.1:[0-9]+$' "ready"
ask /health
is "$code:$body" '200:{"status":"ok"}' "/health"
has "$head" '^X-Content-Type-Options: nosniff$' "no guessing of types"
ask /v1/models
has "$code:$body" '^200:\{"object":"list","data":\[\{"id":"tiny","object":"model",.*"max_model_len":2048' "/v1/models"
has "$body" '"input_modalities":\["text","image","video"\]' "what it takes"
has "$body" '"type":"model","display_name":"tiny","created_at":"20[0-9-]+T[0-9:]+Z".*"has_more":false,"first_id":"tiny"' \
    "as Anthropic's clients read it"
ask /v1/models/tiny
has "$code:$body" '^200:\{"id":"tiny"' "/v1/models/ID"
ask /v1/models/other
has "$code:$body" '^404:.*there is no ."other." here, only ."tiny." .*--alias.*"code":"model_not_found"' "another id"
ask /props
has "$code:$body" '^200:.*"n_ctx":2048.*"total_slots":8.*"model_alias":"tiny".*"vision":true' "/props"
ask /slots
is "$code:$(printf '%s' "$body" | grep -o '"state":"idle"' | wc -l)" 200:8 "/slots"
ask /metrics
has "$code:$head" 'Content-Type: text/plain; version=0\.0\.4' "/metrics"
has "$body" '^# TYPE oxcart_time_to_first_token_seconds histogram$' "a histogram"
post /tokenize '{"content":"Hello world"}'
has "$code:$body" '^200:\{"tokens":\[[0-9,]+\]\}$' "/tokenize"
post /detokenize "$body"
is "$code:$body" '200:{"content":"Hello world"}' "/detokenize"
post /tokenize '{"content":"Hi","with_pieces":true}'
has "$code:$body" '^200:\{"tokens":\[\{"id":[0-9]+,"piece":"H' "with pieces"
post /tokenize '{"content":7}'
has "$code:$body" '^400:.*content: expected a string' "/tokenize of a number"
post /detokenize '{"tokens":[2147483647]}'
has "$code:$body" '^400:.*token ids of the model' "/detokenize of no token"
printf '{"messages":[{"role":"user","content":"Hi"}]}' > "$work/chat"
post /apply-template "@$work/chat"
rendered=$("$oxcart" tokenize --chat="$work/chat" --text | tr '\n' '~')
has "$code:$body" '^200:\{"prompt":".*Hi' "/apply-template"
is "$(printf '%s' "$body" | sed 's/^{"prompt":"//; s/"}$//; s/\\n/~/g')" "$rendered" "the same as tokenize --text"
post /v1/embeddings '{"input":"x"}'
has "$code:$body" '^501:.*"code":"not_implemented"' "/v1/embeddings"
post /v1/completions "$short"
has "$code:$body" '^200:\{"id":"cmpl-.*"model":"tiny".*"finish_reason":"length".*"completion_tokens":4' "/v1/completions"
whole=$(printf '%s' "$body" | sed 's/.*"text":"\([^"]*\)".*/\1/')
post /v1/completions "$(printf '%s' "$short" | sed 's/}$/,"stream":true}/')" -N
has "$head" '^Content-Type: text/event-stream' "a stream"
is "$(printf '%s\n' "$body" | tail -n 1)" 'data: [DONE]' "its end"
pieces=$(printf '%s\n' "$body" | sed -n 's/.*"text":"\([^"]*\)".*/\1/p' | tr -d '\n')
is "$pieces" "$whole" "the same text in pieces"
post /v1/completions '{"prompt":"a","max_tokens":2,"n":3,"seed":5}'
is "$code:$(printf '%s' "$body" | grep -o '"index":' | wc -l)" 200:3 "three choices"
post /v1/completions '{"prompt":"a","n":100}'
has "$code:$body" '^400:' "too many choices"

france='"messages":[{"role":"user","content":"What is the capital of France?"}],"temperature":0,"max_tokens":64'
post /v1/chat/completions "{$france}"
has "$code:$body" '^200:.*"content":"The capital of France is Paris\."' "/v1/chat/completions"
post /v1/chat/completions "{$france,\"stream\":true}" -N
is "$(printf '%s\n' "$body" | tail -n 1)" 'data: [DONE]' "its stream"
pieces=$(printf '%s\n' "$body" | sed -n 's/.*"content":"\([^"]*\)".*/\1/p' | tr -d '\n')
is "$pieces" "The capital of France is Paris." "is the same"
post /v1/messages "{$france}"
has "$code:$body" '^200:\{.*"id":"msg_.*"text":"The capital of France is Paris\."' "/v1/messages"
post /v1/messages "{$france,\"stream\":true}" -N
is "$(printf '%s\n' "$body" | sed -n 's/^event: //p' | uniq | tr '\n' ' ')" \
    "message_start content_block_start content_block_delta content_block_stop message_delta message_stop " "its stream"
post /v1/messages/count_tokens "{$france}"
has "$code:$body" '^200:\{"input_tokens":[0-9]+\}$' "/v1/messages/count_tokens"
post /v1/responses '{"input":"What is the capital of France?","temperature":0,"max_output_tokens":64}'
has "$code:$body" '^200:\{.*"text":"The capital of France is Paris\."' "/v1/responses"
post /v1/responses '{"input":"What is the capital of France?","temperature":0,"max_output_tokens":64,"stream":true}' -N
has "$(printf '%s\n' "$body" | sed -n 's/^event: //p' | uniq | tr '\n' ' ')" \
    '^response\.created response\.in_progress .*response\.output_text\.delta .*response\.completed $' "its stream"
post /v1/responses/input_tokens '{"input":"What is the capital of France?"}'
has "$code:$body" '^200:\{.*"input_tokens":[0-9]+' "/v1/responses/input_tokens"
post /v1/messages '{"messages":[]}'
has "$code:$body" '^400:\{"type":"error","error":\{"type":"invalid_request_error"' "errors as this API has them"

# ---- what requests may not be
ask /v1/messages/batches -H "$json" -d '{}'
has "$code:$body" '^404:\{"type":"error","error":\{"type":"not_found_error"' "no such path of this API"
has "$head" '^request-id: req_' "with an id"
ask /v1/models/other -H 'anthropic-version: 2023-06-01'
has "$code:$body" '^404:\{"type":"error","error":\{"type":"not_found_error"' "no such model for its clients"
ask /nothing
has "$code:$body" '^404:\{"error":\{"message":"[^"]+","type":"invalid_request_error","param":null,"code":"not_found"' "no such path"
ask /v1/completions
is "$code:$(printf '%s\n' "$head" | sed -n 's/^Allow: //p')" '405:POST, OPTIONS' "GET where POST is due"
ask /slots -X DELETE
is "$code:$(printf '%s\n' "$head" | sed -n 's/^Allow: //p')" '405:GET, HEAD, OPTIONS' "DELETE"
ask /health -I
is "$code" 200 "HEAD"
has "$head" '^Content-Length: 15$' "its length"
ask /v1/completions -X OPTIONS
is "$code:$(printf '%s\n' "$head" | sed -n 's/^Allow: //p')" '204:POST, OPTIONS' "OPTIONS"
ask /v1/completions -d "$short"
has "$code:$body" '^415:.*application/json' "a form"
post /v1/completions '{"prompt":'
has "$code:$body" '^400:.*"code":"invalid_json"' "JSON that ends"
post /v1/completions '[1]'
has "$code:$body" '^400:.*expected a JSON object' "an array"
post /v1/completions '{"prompt":"a","temperature":"hot"}'
has "$code:$body" '^400:.*temperature: expected a number' "a wrong member"
head -c 300000 /dev/zero | tr '\0' ' ' > "$work/large"
post /v1/completions "@$work/large"
has "$code:$body" '^413:.*--max-body' "a large body"
post /v1/completions "@$work/large" -H 'Transfer-Encoding: chunked' -H 'Expect:'
has "$code:$body" '^413:.*--max-body' "a large body of unknown length"
post /v1/completions "$short" -H 'Transfer-Encoding: chunked'
is "$code" 200 "a body of unknown length"
printf '{"prompt":"%s"}' "$(head -c 9000 /dev/zero | tr '\0' 'z' | sed 's/z/z z /g')" > "$work/full"
post /v1/completions "@$work/full"
has "$code:$body" '^400:.*has [0-9]+ tokens.* 2048 .*"code":"context_length_exceeded"' "a prompt that does not fit"

twice() { # HEADERS: a GET of /health with them and no more that follows than that of another path
    printf 'GET /health HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" |
        "$raw" "$port" read | tr -d '\r'
}
for heads in 'Host: example.org' 'Content-Length: 0\r\nContent-Length: 3' 'Content-Length: 3\r\nTransfer-Encoding: chunked'; do
    out=$(twice "$heads")
    has "$out" '^HTTP/1.1 400 ' "twice: $heads"
    has "$out" '"code":"ambiguous_request"' "says so"
    is "$(printf '%s\n' "$out" | grep -c '^HTTP/1.1 ')" 1 "and ends there"
done

line() { # REQUEST_LINE HEADERS: what is answered
    printf '%s\r\n%bConnection: close\r\n\r\n' "$1" "$2" | "$raw" "$port" read | tr -d '\r' | tr '\n' ' '
}
has "$(line 'GET /health HTTP/1.1' '')" '^HTTP/1.1 400 .*"code":"missing_host"' "HTTP/1.1 without a Host"
has "$(line 'GET /health HTTP/1.0' '')" '^HTTP/1.[01] 200 ' "HTTP/1.0 needs none"
has "$(line "GET http://localhost:$port/health?x=/y HTTP/1.1" 'Host: evil.example\r\n')" '^HTTP/1.1 200 .*"ok"' \
    "an absolute target: its host counts"
has "$(line 'GET http://evil.example/health HTTP/1.1' 'Host: localhost\r\n')" '^HTTP/1.1 403 .*host_not_allowed' \
    "... which must be this one"
has "$(line 'GET http://localhost/v1/models/tiny HTTP/1.1' 'Host: localhost\r\n')" '^HTTP/1.1 200 .*"id":"tiny"' "its path"
has "$(line 'GET http://localhost HTTP/1.1' 'Host: localhost\r\n')" '^HTTP/1.1 200 ' "none is the page"
has "$(line 'GET http://localhost/health HTTP/1.1' '')" '^HTTP/1.1 400 .*missing_host' "without a Host header"
has "$(line 'GET http://me@localhost/health HTTP/1.1' 'Host: localhost\r\n')" '^HTTP/1.1 400 .*invalid_target' "with a user"
has "$(line 'OPTIONS * HTTP/1.1' 'Host: localhost\r\n')" '^HTTP/1.1 204 .*Allow: ' "OPTIONS *"

# ---- Host and Origin
ask /health -H 'Host: evil.example'
has "$code:$body" '^403:.*host_not_allowed' "a foreign Host"
ask /health -H "Host: localhost:$port"
is "$code" 200 "localhost"
ask /health -H 'Origin: http://evil.example'
has "$code:$body" '^403:.*origin_not_allowed' "a foreign Origin"
ask /health -H "Origin: $url"
is "$code" 200 "its own Origin"
ask /v1/completions -X OPTIONS -H 'Origin: http://evil.example' -H 'Access-Control-Request-Method: POST'
is "$code" 403 "no preflight for others"

# ---- the page
ask /
has "$code:$head" "Content-Security-Policy: default-src 'none'" "the page"
etag=$(printf '%s\n' "$head" | sed -n 's/^ETag: //p')
ask / -H "If-None-Match: $etag"
is "$code:$body" "304:" "the page again"

# ---- the log and the trace
has "$(cat "$work/serve")" '^oxcart: 127\.0\.0\.1 POST /v1/completions 200 [0-9.]+ s \| prompt [0-9]+ tok \([0-9]+ cached\) \| generated 4 tok$' "the request log"
ask "/%0Aoxcart:%20forged"
[ "$(grep -c '^oxcart: forged' "$work/serve")" = 0 ]
ok $? "nobody writes lines of it"
printf '\033[2J\rGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' | "$raw" "$port" read > /dev/null
printf '\033]0;me\007 /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' | "$raw" "$port" read > /dev/null
has "$(cat "$work/serve")" '^oxcart: 127\.0\.0\.1 \?\]0;me\? /health 405 ' "a strange method"
[ "$(LC_ALL=C tr -d '[:print:]\n' < "$work/serve" | wc -c)" = 0 ]
ok $? "nor sends commands to the terminal"
is "$(stat -c %a "$work/trace")" 600 "the trace is private"
is_traced() { grep -q '"method":"?\]0;me?"' "$work/trace"; }
await is_traced
ok $? "the last request is in the trace"
has "$(grep '"path":"/v1/completions"' "$work/trace")" '"status":200,.*"request":\{"prompt":"What is the".*"reply":\{"id":"cmpl-' "the trace"
"$build/tests/e2e/validate_json" < "$work/trace" > /dev/null 2>&1 || [ "$(grep -vc '^{.*}$' "$work/trace")" = 0 ]
ok $? "is lines of JSON"

# ---- clients that leave
before=$(metric answers_cancelled_total)
post /v1/completions '{"prompt":"a","max_tokens":2000,"ignore_eos":true,"stream":true}' --max-time 0.2
await is_idle
ok $? "a client that leaves its stream ends it"
printf 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n%-60s' \
    '{"prompt":"a","max_tokens":2000,"ignore_eos":true}' | "$raw" "$port" leave 100
await is_idle
ok $? "and one that waits for the whole"
[ "$(metric answers_cancelled_total)" -ge "$((before + 1))" ]
ok $? "they count as cancelled"
count_files() { set -- "/proc/$server/fd/"*; echo $#; }
files=$(count_files)
kill -STOP "$server"
printf 'POST /v1/completions HTTP/1.1\r\nHost: local' | "$raw" "$port" leave 0
printf 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{' |
    "$raw" "$port" leave 0
kill -CONT "$server"
sleep 0.5
is_let_go() { [ "$(count_files)" -le "$files" ]; }
await is_let_go
ok $? "one that has left before its half request is read is let go"
stop
is "$status" 0 "SIGTERM: 0"

# ---- keys
printf 'first-key\n  second-key \r\n' > "$work/keys"
serve --api-key-file="$work/keys" --cors-origin=https://pages.example --no-ui --trace="$work/trace2"
for path in /v1/models /v1/models/demo /metrics /props /slots /nothing; do
    ask "$path"
    is "$code:$(printf '%s\n' "$head" | sed -n 's/^WWW-Authenticate: //p')" "401:Bearer" "$path without a key"
done
for path in /v1/responses /v1/responses/input_tokens /v1/completions /v1/chat/completions /v1/messages /v1/messages/count_tokens /tokenize /detokenize /apply-template /v1/embeddings; do
    post "$path" '{}'
    has "$code:$body" '^401:.*(invalid_api_key|authentication_error)' "$path without a key"
done
ask /health
is "$code" 200 "/health needs none"
ask / -H 'Authorization: Bearer first-key'
is "$code" 404 "--no-ui: no page"
ask /v1/models -H 'Authorization: Bearer first-key'
is "$code" 200 "Authorization: Bearer"
ask /v1/models -H 'x-api-key: second-key'
is "$code" 200 "x-api-key"
ask /v1/models -H 'x-api-key: second-ke'
is "$code" 401 "a part of a key"
ask /v1/models -H 'x-api-key: second-keyy'
is "$code" 401 "more than a key"
ask /v1/completions -X OPTIONS -H 'Origin: https://pages.example' -H 'Access-Control-Request-Method: POST' \
    -H 'Access-Control-Request-Headers: authorization'
is "$code:$(printf '%s\n' "$head" | sed -n 's/^Access-Control-Allow-\([A-Z][a-z]*\): /\1=/p' | tr '\n' ' ')" \
    "204:Origin=https://pages.example Methods=POST, OPTIONS Headers=authorization " "a preflight of --cors-origin"
ask /v1/models -H 'Origin: https://pages.example' -H 'x-api-key: first-key'
is "$code:$(printf '%s\n' "$head" | sed -n 's/^Access-Control-Allow-Origin: //p')" "200:https://pages.example" "its pages may ask"
stop
grep -q 'first-key\|second-key' "$work/trace2" "$work/serve"
is $? 1 "no key in log and trace"

# ---- TLS, everybody
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 2 -subj /CN=localhost \
    > "$work/openssl" 2>&1
serve --tls-cert="$work/cert.pem" --tls-key="$work/key.pem" --host=0.0.0.0 --insecure
has "$(cat "$work/serve")" 'warning: --insecure' "--insecure is said"
url=https://127.0.0.1:$port
ask /health -k -H 'Host: any.example'
is "$code" 200 "TLS"
post /v1/completions "$(printf '%s' "$short" | sed 's/}$/,"stream":true}/')" -k
is "$(printf '%s\n' "$body" | tail -n 1)" 'data: [DONE]' "a stream"
stop

# ---- pictures
mkdir "$work/pictures"
seen=$("$build/tests/e2e/demo_pictures" --bmp="$work/pictures/one.bmp" 3)
cp "$work/pictures/one.bmp" "$work/outside.bmp"
look() { # URL: a chat request about the picture there, in $work/look
    printf '{"temperature":0,"max_tokens":64,"chat_template_kwargs":{"thinking_mode":"disabled"},"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"%s"}},{"type":"text","text":"What is in this picture?"}]}]}' \
        "$1" > "$work/look"
}
serve --media-path="$work/pictures" --max-images=1
look "data:image/bmp;base64,$(base64 < "$work/pictures/one.bmp" | tr -d '\n')"
post /v1/chat/completions "@$work/look"
has "$code:$body" "^200:.*\"content\":\"$seen\"" "a data: URI"
look one.bmp
post /v1/chat/completions "@$work/look"
has "$code:$body" "^200:.*\"content\":\"$seen\"" "a file below --media-path"
look ../outside.bmp
post /v1/chat/completions "@$work/look"
has "$code:$body" '^400:.*messages\[0\]' "not one outside"
look http://127.0.0.1:1/one.bmp
post /v1/chat/completions "@$work/look"
has "$code:$body" '^400:.*--allow-remote-media' "no other hosts"
sed 's/\[{"type":"image_url"[^}]*}}/&,{"type":"image_url","image_url":{"url":"one.bmp"}}/; s/http[^"]*/one.bmp/' "$work/look" > "$work/two"
post /v1/chat/completions "@$work/two"
has "$code:$body" '^400:.*max-images' "more than --max-images"
stop
serve
look one.bmp
post /v1/chat/completions "@$work/look"
has "$code:$body" '^400:.*--media-path' "no files without --media-path"
stop
# ... that takes longer to decode than its answer may
mkdir "$work/slow"
cp "$oxcart" "$work/slow/oxcart"
printf '#!/bin/sh\nsleep 2\nexec "%s" "$@"\n' "$(dirname "$oxcart")/oxcart-media" > "$work/slow/oxcart-media"
chmod +x "$work/slow/oxcart-media"
usual=$oxcart
oxcart=$work/slow/oxcart
serve --request-timeout=1
oxcart=$usual
look "data:image/bmp;base64,$(base64 < "$work/pictures/one.bmp" | tr -d '\n')"
post /v1/chat/completions "@$work/look"
has "$code:$body" '^408:.*--request-timeout' "a picture that is not decoded in time"
sleep 2
is "$(metric answers_total)" 0 "is not answered any more"
stop
ox serve --port=0 --allow-remote-media='a b'
is "$status" 2 "--allow-remote-media of no host: 2"
ox serve --port=0 --media-path="$work/none"
is "$status" 2 "--media-path of no folder: 2"

# ---- deadlines
serve --idle-timeout=1 --request-timeout=2
out=$(printf 'GET /health HTTP/1.1\r\nHost: local' | "$raw" "$port" read)
has "$out" '408 Request Timeout' "a head that does not end"
out=$(head -c 400 /dev/zero | tr '\0' 'x' | sed 's/^/GET \//' | "$raw" "$port" drip 100)
has "$out" '408 Request Timeout' "a head that drips"
has "$out" '--idle-timeout' "names its option"
out=$(printf 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"prompt":' |
    "$raw" "$port" read)
has "$out" '408 Request Timeout' "a body that does not end"
post /v1/completions "$long_quiet"
has "$code:$body" '^408:.*--request-timeout' "an answer that takes too long"
post /v1/completions "$long"
has "$code:$body" '^200:.*|--request-timeout' "a stream"
has "$(printf '%s\n' "$body" | tail -n 6)" '--request-timeout' "that takes too long"
await is_idle
ok $? "both are cancelled"
stop

# ---- a full queue; a client that waits there and leaves
serve --parallel=1 --queue=1
curl -s -o /dev/null -H "$json" -d "$long" "$url/v1/completions" &
first=$!
await is_busy
curl -s -o /dev/null -H "$json" -d "$long" "$url/v1/completions" &
second=$!
is_queued() { [ "$(metric queue)" = 1 ]; }
await is_queued
ok $? "one runs, one waits"
has "$(curl -s "$url/slots")" '"state":"waiting"' "/slots shows it"
post /v1/completions "$short"
has "$code:$body" '^429:.*"code":"queue_full"' "a third: 429"
has "$head" '^Retry-After: [0-9]+$' "with Retry-After"
kill "$second"
wait "$second" 2> /dev/null
is_empty() { [ "$(metric queue)" = 0 ]; }
await is_empty
ok $? "who waits and leaves makes room"
is "$(metric running)" 1 "the other goes on"
curl -s -m 7 -H "$json" -d "$long" "$url/v1/completions" > "$work/waiting"
has "$(cat "$work/waiting")" '^: ' "a stream that waits is kept alive"
[ "$(grep -c '^data: ' "$work/waiting")" = 0 ]
ok $? "without a token"
kill "$first"
await is_idle
ok $? "until it leaves"
wait "$first" "$second"
stop

# ---- bodies of answers that wait
serve --parallel=1 --max-body=2K
many=
while [ "${#many}" -lt 8 ]; do
    curl -s -o /dev/null -H "$json" -d "$(printf '%-2000s' "$long_quiet")" "$url/v1/completions" &
    many=${many}x
done
is_full() { [ "$(metric queue)" = 7 ]; }
await is_full
ok $? "one runs, seven wait"
post /v1/completions "$(printf '%-2000s' "$short")"
has "$code:$body" '^503:.*"code":"out_of_memory"' "there is room for the bodies of eight"
has "$head" '^Retry-After: 1$' "for now"
stop KILL
wait

# ---- a client that does not read
serve
printf 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n%-200s' \
    '{"messages":[{"role":"user","content":"a"}],"ignore_eos":true,"stream":true,"logprobs":true,"top_logprobs":20,"n":8}' |
    "$raw" "$port" mute 120 &
mute=$!
await is_busy
ok $? "its answer begins"
before=$(metric answers_cancelled_total)
is_cut() { [ "$(metric answers_cancelled_total)" -gt "$before" ]; }
await is_cut || await is_cut || await is_cut || await is_cut || await is_cut || await is_cut
ok $? "and is ended when 4 MiB wait for it"
kill "$mute"
wait "$mute" 2> /dev/null
post /v1/completions "$short"
is "$code" 200 "the others are served"
n=$("$raw" "$port" crowd 600)
[ "$n" -ge 100 ] && [ "$n" -lt 600 ]
ok $? "connections of one address are limited ($n)"

# ---- many at once: no token is lost, none goes to another
crowd() { # of 24 clients, in FOLDER; with a second argument one after the other
    mkdir "$work/$1"
    for who in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do
        curl -s -m 60 -H "$json" -d "{\"prompt\":\"Number $who\",\"max_tokens\":40,\"ignore_eos\":true,\"seed\":$who,\"stream\":true}" \
            "$url/v1/completions" | sed -n 's/.*"text":"\([^"]*\)".*/\1/p' | tr -d '\n' > "$work/$1/$who" &
        last="$last $!"
        [ -z "${2-}" ] || wait $!
    done
    # shellcheck disable=SC2086
    wait $last
}
last=
crowd together
last=
crowd alone one
diff -r "$work/together" "$work/alone" > "$work/diff"
ok $? "24 answers together are those of each alone"
[ "$(cat "$work/alone/3")" != "$(cat "$work/alone/4")" ] && [ -s "$work/alone/3" ]
ok $? "which differ"

# ---- signals
curl -s -H "$json" -d '{"prompt":"a","max_tokens":3000,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}' \
    "$url/v1/completions" > "$work/last" &
last=$!
await is_busy
stop
is "$status" 0 "SIGTERM waits for the answers"
wait "$last"
has "$(grep . "$work/last" | tail -n 2 | tr '\n' ' ')" '"completion_tokens":3000,.*data: \[DONE\]' "which are whole"
serve
curl -s -o /dev/null -H "$json" -d "$long" "$url/v1/completions" &
last=$!
await is_busy
kill -TERM "$server"
sleep 0.5
stop
is "$status" 130 "a second SIGTERM: 130"
wait "$last"

request() { # BYTES: a request whose body has so many, blanks at its end
    printf 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n' "$1"
    printf "%-$1s" "$short"
}
serve
request 400 | "$raw" "$port" drip 10 > "$work/last" &
last=$!
sleep 3
stop
is "$status" 0 "SIGTERM while a body comes"
wait "$last"
has "$(cat "$work/last")" '^HTTP/1.1 200 OK' "it is answered"
serve --idle-timeout=2
request 200000 | "$raw" "$port" drip 100 1000 > "$work/last" &
last=$!
sleep 1
begin=$(date +%s)
stop
is "$status" 0 "SIGTERM while a body comes slowly"
[ $(($(date +%s) - begin)) -le 6 ]
ok $? "it is not waited for longer than --idle-timeout"
wait "$last"

# ---- restart
prompt=$(i=0; while [ $i -lt 150 ]; do printf 'line %d of it. ' $i; i=$((i + 1)); done)
history="{\"prompt\":\"$prompt\",\"max_tokens\":2,\"temperature\":0}"
serve --cache-dir="$work/cache"
post /v1/completions "$history"
has "$code:$body" '^200:.*"cached_tokens":0' "a long prompt"
written() { [ "$(metric cache_written_blocks_total)" -ge 3 ]; }
await written
ok $? "its blocks are written"
answer=$(printf '%s' "$body" | sed 's/.*"text":"\([^"]*\)".*/\1/')
stop KILL
is "$status" 137 "killed"
serve --cache-dir="$work/cache" --cache-size=1G
post /v1/completions "$history"
has "$code:$body" '^200:.*"cached_tokens":[1-9][0-9]{2}' "after a restart it is found"
is "$(printf '%s' "$body" | sed 's/.*"text":"\([^"]*\)".*/\1/')" "$answer" "and answered the same"
stop INT
is "$status" 0 "Ctrl-C: 0"

done_testing
