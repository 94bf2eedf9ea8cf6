# Ledgers in a PostgreSQL database, on a server that is begun for each class.

# in_database HEADING WHAT ROUNDS: a class of postgres.R, which says `cases n` as it goes on, `column text` for each fault
# that it sees, and `server folder` of what has to be ended where it couldn't.
in_database() {
  local column text server=
  begin "$1"
  fresh
  status=0
  bounded Rscript --vanilla dev/faults.d/postgres.R "$2" "$3" "$work/case" > "$work/said" 2> "$work/postgres.err" || status=$?
  while read -r column text; do
    case $column in
      cases) cases=$text ;;
      server) server=$text ;;
      measured) printf '%s: %s\n' "$1" "$text" >> "$work/measured" ;;
      *) complain "$column" "$text" ;;
    esac
  done < "$work/said"
  if [ $status = 124 ]; then
    complain hangs "after $cases cases"
  elif [ $status != 0 ]; then
    complain crashes "R ends with $status: $(tail -n 5 "$work/postgres.err")"
  fi
  if [ -n "$server" ] && [ -d "$server" ]; then
    if [ -e "$server/data/postmaster.pid" ]; then kill -QUIT "$(head -n 1 "$server/data/postmaster.pid")" || true; fi
    rm -rf "$server"
  fi
  end
}

lacking=$(Rscript --vanilla dev/faults.d/postgres.R lacks 0 "$work")
if [ -n "$lacking" ]; then
  skip 'ledgers in PostgreSQL' "$lacking"
else
  many() { if [ -n "$short" ]; then echo "$1"; else echo "$2"; fi; }
  in_database 'PostgreSQL: the server killed while eight log' killed_server "$(many 1 10)"
  in_database 'PostgreSQL: clients killed' killed_client "$(many 1 20)"
  in_database 'PostgreSQL: clients killed that wait for the lock' killed_waiting "$(many 2 20)"
  if ! command -v python3 > /dev/null; then
    skip 'PostgreSQL: connections that are cut' 'python3 is missing'
  else
    in_database 'PostgreSQL: a connection cut at each message' cut "$(many 7 1)"
    in_database 'PostgreSQL: connections of eight, cut at random' cut_crowd "$(many 10 200)"
  fi
  in_database 'PostgreSQL: an older backup restored' backup "$(many 1 10)"
  in_database 'PostgreSQL: rows rewritten' rewritten "$(many 2 20)"
  in_database 'PostgreSQL: eight who do everything' mixed "$(many 1 10)"
fi
