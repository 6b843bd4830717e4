#!/usr/bin/env bash
# Start Triton, wait until it is ready, then serve. When one of them ends, end the other.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
triton_url="localhost:$TRITON_PORT"
running=()

# The last one started is the host: it answers what it has begun while Triton still runs.
# shellcheck disable=SC2329 # the trap calls it
end() {
    trap - EXIT TERM INT
    for ((i = ${#running[@]} - 1; i >= 0; i--)); do
        kill -TERM "${running[i]}" 2>/dev/null || true
        wait "${running[i]}" || true
    done
}
trap end EXIT
trap 'exit 0' TERM INT

mapfile -t repositories < <(find -L "$MODEL_DIR" -maxdepth 4 -type d -name triton -prune | sort)
if ((${#repositories[@]} == 0)); then
    echo "start.sh: $MODEL_DIR holds no folder called triton" >&2
    exit 1
fi
tritonserver "${repositories[@]/#/--model-repository=}" --http-port="$TRITON_PORT" &
running+=($!)

until curl --silent --fail --output /dev/null "http://$triton_url/v2/health/ready"; do
    if ! kill -0 "${running[0]}" 2>/dev/null; then
        echo "start.sh: Triton ended before it was ready" >&2
        exit 1
    fi
    sleep 1
done

TRIHOOK_TRITON_URL=$triton_url "$here/env/bin/trihook" serve \
    --entry-script "$ENTRY_SCRIPT" --model-dir "$MODEL_DIR" --host 0.0.0.0 --port "$PORT" &
running+=($!)

wait -n || true
echo "start.sh: Triton or the host ended by itself" >&2
exit 1
