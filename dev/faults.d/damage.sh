# Bytes and rows changed, tails of every kind: in one process.

damaged() {
  local name
  timeout $((4 * patience)) "$work/damage" "$memory/damaged" $short > "$work/classes" 2> "$work/complaints" || {
    begin 'damage'
    complain crashes "ends with $?: $(tail -n 3 "$work/complaints")"
    end
  }
  while IFS='|' read -r name n l f m w o; do
    begin "$name"
    cases=$n lost=$l falsely=$f missed=$m wrong=$w other=$o
    grep -F "$name: " "$work/complaints" | head -n 10 >&2 || true
    end
  done < "$work/classes"
}
mkdir "$memory/damaged"
damaged
