# Full disks, limits, rights, and files that are none.

# expect CLASS TEXT WHAT: the attempt was refused with this error, which names the file and says TEXT.
expect() {
  if [ $status = 124 ]; then complain hangs "$3: hangs"; fi
  if [ $status != 1 ] || ! grep -q "^$1 .*$2" "$work/refused"; then
    complain wrong "$3: ends with $status, says: $(cat "$work/refused")"
  fi
}

# untouched PATH COPY WHAT: a refused attempt has left no trace.
untouched() {
  if ! cmp -s "$1" "$2"; then complain other "$3: the file was changed"; fi
}

as_nobody() {
  attempt setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

full_disk() {
  local ballast=$work/case/ballast start
  begin 'full disk (tmpfs)'
  for start in birth append recovery 'half a first row'; do
    fresh
    if ! mount -t tmpfs -o size=64k tmpfs "$work/case" 2> /dev/null; then
      skip 'full disk' 'mounting is not permitted here'
      return
    fi
    mounted=$work/case
    case $start in
      append) cp "$work/base.csv" "$ledger" ;;
      recovery) { cat "$work/base.csv"; printf '6,2026-'; } > "$ledger" ;;
      half*) head -c 100 "$work/base.csv" > "$ledger" ;;
    esac
    if [ "$start" != append ]; then dd if=/dev/zero of="$ballast" status=none bs=4k count=20 2> /dev/null || true; fi
    cat "$ledger" > "$work/before" 2> /dev/null || true
    attempt "$writer" "$ledger" x 400
    if [ "$status" != 1 ]; then complain wrong "$start: the disk isn't full: $status"; fi
    if [ "$start" != append ] && [ -s "$ledger" ] && [ "$start" != 'half a first row' ]; then
      untouched "$ledger" "$work/before" "$start"
    fi
    rm -f "$ballast"
    if [ "$start" = append ]; then
      # Room for the next row: a copy of the ledger without its last page.
      cp "$ledger" "$work/log.csv"
      umount "$mounted"
      mounted=
      cp "$work/log.csv" "$ledger"
    fi
    judge "$start"
    if [ -n "$mounted" ]; then umount "$mounted"; mounted=; fi
  done
  end
}

size_limit() {
  local size extra start
  size=$(wc -c < "$work/base.csv")
  begin 'prlimit --fsize: writes that stop half way'
  trap '' XFSZ
  for start in append recovery; do
    for extra in 0 1 50 200 300 400 1000; do
      prepare $start
      attempt prlimit --fsize=$((size + extra)) "$writer" "$ledger" x 20
      if [ $status != 1 ]; then complain wrong "$start: $extra bytes more: ends with $status"; fi
      judge "$start: $extra bytes more"
    done
  done
  trap - XFSZ
  # Those who don't ignore the signal are killed by it.
  for extra in 0 50 300 1000; do
    prepare append
    attempt prlimit --fsize=$((size + extra)) --core=0 "$writer" "$ledger" x 20
    judge "killed by SIGXFSZ at $extra bytes more" killed
  done
  end
}

append_only() {
  local start
  prepare append
  if ! chattr +a "$ledger" 2> /dev/null; then
    skip 'append-only files' 'chattr +a is not supported here'
    return
  fi
  begin 'append-only file (chattr +a)'
  attempt "$writer" "$ledger" x 3
  if [ $status != 0 ]; then complain other "can't be written to: $(cat "$work/refused")"; fi
  judge 'a whole ledger'
  chattr -a "$ledger"

  prepare recovery
  cp "$ledger" "$work/before"
  chattr +a "$ledger"
  attempt "$writer" "$ledger" x 1
  expect io 'truncate.*log.csv.*not permitted' 'a torn tail'
  untouched "$ledger" "$work/before" 'a torn tail'
  chattr -a "$ledger"
  judge 'a torn tail, once it may be truncated'

  prepare append
  chattr +a "$ledger"
  trap '' XFSZ
  attempt prlimit --fsize=$(($(wc -c < "$work/base.csv") + 50)) "$writer" "$ledger" x 1
  trap - XFSZ
  expect remains 'log.csv' 'a write that stops half way'
  chattr -a "$ledger"
  judge 'the remains of a write that stopped half way'
  end
}

rights() {
  local folder=$work/case
  if [ "$(id -u)" != 0 ]; then
    skip 'rights' 'only root can become an ordinary user'
    return
  fi
  begin 'read-only folders and files, as an ordinary user'
  prepare birth
  as_nobody "$writer" "$ledger" x 1
  expect io 'log.csv.*denied' 'a new ledger in a read-only folder'
  if [ -e "$ledger" ]; then complain other 'a new ledger in a read-only folder: made'; fi
  judge 'a new ledger in a read-only folder'

  prepare append
  as_nobody "$writer" "$ledger" x 1
  expect io 'log.csv.*denied' 'a read-only ledger'
  untouched "$ledger" "$work/base.csv" 'a read-only ledger'
  judge 'a read-only ledger'

  prepare append
  chmod 666 "$ledger"
  as_nobody "$writer" "$ledger" x 2
  if [ $status != 0 ]; then complain other "a ledger in a read-only folder: $(cat "$work/refused")"; fi
  judge 'a ledger in a read-only folder'

  prepare append
  chmod 666 "$ledger"
  chmod 711 "$folder"
  as_nobody "$writer" "$ledger" x 2
  if [ $status != 0 ]; then complain other "a ledger in a folder that can't be listed: $(cat "$work/refused")"; fi
  chmod 755 "$folder"
  judge "a ledger in a folder that can't be listed"

  prepare recovery
  chmod 666 "$ledger"
  cp "$ledger" "$work/before"
  as_nobody "$writer" "$ledger" x 1
  expect io 'log.csv.*denied' 'a torn tail in a read-only folder'
  untouched "$ledger" "$work/before" 'a torn tail in a read-only folder'
  judge 'a torn tail in a read-only folder'
  end
}

no_files() {
  local path
  begin 'FIFO, folder, device, dangling links'
  fresh
  mkfifo "$work/case/fifo"
  mkdir "$work/case/folder"
  ln -s /dev/full "$work/case/link"
  for path in "$work/case/fifo" "$work/case/folder" "$work/case/link" /dev/null /dev/zero /dev/full; do
    : > "$work/refused"
    cases=$((cases + 1))
    attempt "$writer" "$path" x 1
    expect not_a_ledger "${path##*/}" "$path"
    status=0
    verdict=$(bounded "$checker" verdict "$path") || status=$?
    if [ $status = 124 ]; then complain hangs "verify $path: hangs"; fi
    if [ "$verdict" != not_a_ledger ]; then complain wrong "verify $path: $verdict"; fi
  done
  ln -s loop "$work/case/loop"
  : > "$work/refused"
  cases=$((cases + 1))
  attempt "$writer" "$work/case/loop" x 1
  expect io loop 'a link to itself'
  end

  begin 'symbolic links to a ledger'
  local start
  for start in birth append recovery; do
    prepare $start
    mkdir "$work/case/elsewhere"
    if [ -e "$ledger" ]; then mv "$ledger" "$work/case/elsewhere/log.csv"; fi
    ln -s elsewhere/log.csv "$ledger"
    attempt "$writer" "$ledger" x 2
    if [ $status != 0 ]; then complain other "$start: $(cat "$work/refused")"; fi
    judge "$start"
    if [ ! -L "$ledger" ]; then complain other "$start: the link is gone"; fi
  done
  end
}

clock_back() {
  begin 'clock set back'
  gcc -shared -fPIC -o "$work/clock.so" dev/faults.d/clock.c -ldl
  prepare append
  attempt env LD_PRELOAD="$work/clock.so" "$writer" "$ledger" x 5
  if [ $status != 0 ]; then complain other "$(cat "$work/refused")"; fi
  if cut -d , -f 2 "$ledger" | tail -n 5 | sort -c 2> /dev/null; then complain other "the clock doesn't go back"; fi
  judge 'an hour with each look'
  prepare birth
  attempt env LD_PRELOAD="$work/clock.so" "$writer" "$ledger" x 5
  judge 'from the birth on'
  end
}

full_disk
size_limit
append_only
rights
no_files
clock_back
