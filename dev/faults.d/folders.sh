# Artifacts that mean harm, and sessions that have too little.

# artifacts HEADING WHAT ROUNDS [AS…]: a class of folders.R, run by a program of other rights.
artifacts() {
  local column text heading=$1 what=$2 rounds=$3
  shift 3
  begin "$heading"
  fresh
  chmod 777 "$work/case"
  status=0
  timeout --kill-after=5 1800 "$@" Rscript --vanilla dev/faults.d/folders.R "$what" "$rounds" "$work/case" \
    > "$work/folders" 2> "$work/folders.err" || status=$?
  while read -r column text; do
    case $column in
      cases) cases=$text ;;
      *) complain "$column" "$text" ;;
    esac
  done < "$work/folders"
  if [ $status = 124 ]; then
    complain hangs 'hangs'
  elif [ $status != 0 ]; then
    complain crashes "R ends with $status: $(tail -n 5 "$work/folders.err")"
  fi
  end
}

rounds=(400 300 30)
if [ -n "$short" ]; then rounds=(60 40 5); fi
artifacts 'archives of folders that somebody else made' archives "${rounds[0]}"
artifacts 'folders of all sorts' folders "${rounds[1]}"
if ! command -v prlimit > /dev/null; then
  skip 'little memory, no threads' 'prlimit is missing'
else
  artifacts 'little memory (prlimit --as)' little_memory "${rounds[2]}"
  if [ "$(id -u)" != 0 ]; then
    artifacts 'no thread to be had (prlimit --nproc)' no_threads 1
  else
    # The limit is none for root, and another user may not be let into the library's folder.
    mkdir "$work/readable"
    cp -R "$library/fitledger" "$work/readable"
    chmod -R a+rX "$work/readable"
    artifacts 'no thread to be had (prlimit --nproc)' no_threads 1 \
      env R_LIBS="$work/readable" setpriv --reuid=65534 --regid=65534 --clear-groups
  fi
fi
