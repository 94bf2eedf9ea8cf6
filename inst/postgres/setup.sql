-- fitledger's ledgers in a PostgreSQL database, version 2.
--
-- The rows of a ledger are those of its file, byte for byte: the database gives out their numbers and computes their
-- hashes, under a lock on the ledger's head. What has been written is not changed: nobody but the owner of the schema has
-- any right to its tables, and triggers hold the owner to it, too. Users have EXECUTE on some of the functions, which look
-- for the rights of whoever is logged in (`session_user`).
--
-- A session's settings say how the bodies of functions are read: so a backslash stands in an `E''` only.
--
-- `@schema@` stands for the name of the schema, quoted. All of it is run in one transaction.

CREATE SCHEMA @schema@;
REVOKE ALL ON SCHEMA @schema@ FROM PUBLIC;

CREATE TABLE @schema@.version (version int NOT NULL);
INSERT INTO @schema@.version VALUES (2);

-- The head of each ledger: the number and the hash of its last row.
CREATE TABLE @schema@.ledgers (
  ledger int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  id text NOT NULL UNIQUE,
  seq bigint NOT NULL,
  hash text NOT NULL,
  owner text NOT NULL DEFAULT session_user
) WITH (fillfactor = 50);

-- A row's bytes, without its line feed. Who wrote it, and when, by the server's word, stand outside of the chain.
-- `request` names the append that the row is the first of. No key refers to the ledger: rows come by `append()` alone, which
-- holds the lock on it, and the check would cost a fifth of an append.
CREATE TABLE @schema@.rows (
  ledger int NOT NULL,
  seq bigint NOT NULL,
  line bytea NOT NULL,
  request text,
  by_user text NOT NULL DEFAULT session_user,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (ledger, seq)
);
CREATE UNIQUE INDEX ON @schema@.rows (ledger, request) WHERE request IS NOT NULL;

-- Who may read a ledger, and who may write to it, too: roles, and whoever is a member of them.
CREATE TABLE @schema@.rights (
  ledger int NOT NULL REFERENCES @schema@.ledgers,
  role text NOT NULL,
  may_write boolean NOT NULL,
  PRIMARY KEY (ledger, role)
);

-- Stored bytes in parts. Each upload of an object is kept apart: whoever reads it hashes it, and goes on to the next
-- upload where one isn't what its name says, so that nobody can put something else in an object's place. `checked` is one that
-- the database has hashed, too.
CREATE TABLE @schema@.uploads (
  upload bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ledger int NOT NULL REFERENCES @schema@.ledgers,
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  parts int,
  checked boolean NOT NULL DEFAULT false,
  by_user text NOT NULL DEFAULT session_user,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON @schema@.uploads (ledger, sha256);
CREATE TABLE @schema@.parts (
  upload bigint NOT NULL REFERENCES @schema@.uploads,
  part int NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (upload, part)
);
ALTER TABLE @schema@.parts ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE FUNCTION @schema@.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'fitledger: what is on record stays as it is (% on %)', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON @schema@.rows FOR EACH ROW EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON @schema@.parts FOR EACH ROW EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER never_empty BEFORE TRUNCATE ON @schema@.rows EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER never_empty BEFORE TRUNCATE ON @schema@.parts EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER never_empty BEFORE TRUNCATE ON @schema@.uploads EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER never_empty BEFORE TRUNCATE ON @schema@.ledgers EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER never_gone BEFORE DELETE ON @schema@.ledgers FOR EACH ROW EXECUTE FUNCTION @schema@.refuse_change();
CREATE TRIGGER never_gone BEFORE DELETE ON @schema@.uploads FOR EACH ROW EXECUTE FUNCTION @schema@.refuse_change();

-- A head only goes on.
CREATE FUNCTION @schema@.refuse_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq <= OLD.seq OR (NEW.ledger, NEW.name, NEW.id, NEW.owner) IS DISTINCT FROM (OLD.ledger, OLD.name, OLD.id, OLD.owner) THEN
    RAISE EXCEPTION 'fitledger: the head of a ledger only goes on' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER goes_on BEFORE UPDATE ON @schema@.ledgers FOR EACH ROW EXECUTE FUNCTION @schema@.refuse_going_back();

-- Whether whoever is logged in may read a ledger, or write to it.
--
-- What an append calls is in plpgsql, whose plans are kept for the session, or in SQL that is taken into its caller, which says
-- no more of itself than of what it calls (`convert_to()` is no more than STABLE): of other functions in SQL each call is parsed
-- and planned anew, which took more than the append itself. This and the three after it are called by functions alone that
-- say where names are looked up.
CREATE FUNCTION @schema@.may(l @schema@.ledgers, to_write boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF l.owner = session_user THEN
    RETURN true;
  END IF;
  RETURN EXISTS (
    SELECT FROM @schema@.rights r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
    WHERE r.ledger = l.ledger AND (r.may_write OR NOT to_write) AND pg_has_role(session_user, p.oid, 'MEMBER')
  );
END $$;

-- A row's bytes from the comma behind its number up to the one before its hash. JSON is quoted as CSV.
CREATE FUNCTION @schema@.row_body(cells text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT ',' || cells[1] || ',' || cells[2] || ',' || cells[3]
    || ',' || CASE cells[4] WHEN '' THEN '' ELSE '"' || replace(cells[4], '"', '""') || '"' END
    || ',' || CASE cells[5] WHEN '' THEN '' ELSE '"' || replace(cells[5], '"', '""') || '"' END
    || ',' || CASE cells[6] WHEN '' THEN '' ELSE '"' || replace(cells[6], '"', '""') || '"' END
    || ',' || CASE cells[7] WHEN '' THEN '' ELSE '"' || replace(cells[7], '"', '""') || '"' END
$$;

CREATE FUNCTION @schema@.row_hash(previous text, body text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT encode(sha256(convert_to(previous || body, 'UTF8')), 'hex')
$$;

-- The hash cell of a row.
CREATE FUNCTION @schema@.hash_of(line bytea) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT convert_from(substr(line, length(line) - 63), 'UTF8')
$$;

-- Begins a ledger with its first row, unless it is there; its id.
CREATE FUNCTION @schema@.begin_ledger(name_ text, id_ text, time_ text) RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ledger_ int;
  known text;
  header constant text := 'seq,time,event,run_id,params,metrics,artifacts,context,hash';
  body text;
  hash_ text;
BEGIN
  IF id_ !~ '^[0-9a-f]{32}$' OR time_ !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$' OR name_ = '' THEN
    RAISE EXCEPTION 'fitledger: this is no ledger''s beginning';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('fitledger ' || name_, 0));
  SELECT id INTO known FROM @schema@.ledgers WHERE name = name_;
  IF FOUND THEN
    RETURN known;
  END IF;
  body := '1' || @schema@.row_body(ARRAY[time_, 'ledger', '', '', '', '', '{"format":1,"id":"' || id_ || '"}']);
  hash_ := @schema@.row_hash(encode(sha256(convert_to(header, 'UTF8')), 'hex'), body);
  INSERT INTO @schema@.ledgers (name, id, seq, hash) VALUES (name_, id_, 1, hash_) RETURNING ledger INTO ledger_;
  INSERT INTO @schema@.rows (ledger, seq, line) VALUES (ledger_, 1, convert_to(body || ',' || hash_, 'UTF8'));
  RETURN id_;
END $$;

-- Where a ledger is, for whoever has its rows up to one: `ok`; `id, seq, hash` of its head; the hash of the row that they
-- have last, empty if it isn't there; whether they may write; whether this server only follows another; what the server
-- leaves out of waiting for its disk; and the version of all this.
--
-- What is new is on disk when this has returned, so that nobody rests on what a crash would take back.
CREATE FUNCTION @schema@.look(name_ text, seq_ bigint) RETURNS text[] LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  l @schema@.ledgers;
  has text;
  follows constant boolean := pg_is_in_recovery();
BEGIN
  SELECT * INTO l FROM @schema@.ledgers WHERE name = name_;
  IF NOT FOUND THEN
    RETURN ARRAY['unknown'];
  END IF;
  IF NOT @schema@.may(l, false) THEN
    RETURN ARRAY['forbidden'];
  END IF;
  IF now() <> statement_timestamp() THEN
    RETURN ARRAY['in_transaction'];
  END IF;
  SELECT @schema@.hash_of(line) INTO has FROM @schema@.rows WHERE ledger = l.ledger AND seq = seq_;
  IF l.seq > seq_ AND NOT follows THEN
    PERFORM @schema@.flush();
  END IF;
  RETURN ARRAY[
    'ok', l.id, l.seq::text, l.hash, coalesce(has, ''), @schema@.may(l, true)::text, follows::text,
    CASE WHEN current_setting('fsync') = 'off' THEN 'fsync = off'
      WHEN current_setting('full_page_writes') = 'off' THEN 'full_page_writes = off' ELSE '' END,
    (SELECT version::text FROM @schema@.version)
  ];
END $$;

-- Makes the transaction that calls it wait until what it has written is on disk, and warn if it stops waiting, whatever the
-- session says.
CREATE FUNCTION @schema@.wait_for_disk() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  -- An expression, unlike PERFORM, takes no query.
  was text := set_config('client_min_messages', 'warning', true);
BEGIN
  IF current_setting('synchronous_commit') <> 'remote_apply' THEN
    was := set_config('synchronous_commit', 'on', true);
  END IF;
END $$;

-- The same for all that was committed before. A transaction that wrote nothing to the log would not wait.
CREATE FUNCTION @schema@.flush() RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM @schema@.wait_for_disk();
  PERFORM pg_logical_emit_message(true, 'fitledger', '');
END $$;

-- Rows after one, with their line feeds: up to another, or fewer, so that they take no more than some bytes, if one row doesn't.
CREATE FUNCTION @schema@.read_rows(name_ text, after bigint, up_to bigint, most_bytes bigint) RETURNS bytea LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ledger_ int;
BEGIN
  SELECT ledger INTO ledger_ FROM @schema@.ledgers l WHERE name = name_ AND @schema@.may(l, false);
  up_to := least(up_to, after + 32768);
  WHILE up_to > after + 1 AND most_bytes < (
    SELECT sum(length(line) + 1) FROM @schema@.rows WHERE ledger = ledger_ AND seq > after AND seq <= up_to
  ) LOOP
    up_to := after + (up_to - after) / 2;
  END LOOP;
  -- In the order of the index: an ORDER BY of the aggregate would sort the rows anew.
  RETURN (
    SELECT string_agg(line, E'\\x0a'::bytea) || E'\\x0a'::bytea FROM (
      SELECT line FROM @schema@.rows WHERE ledger = ledger_ AND seq > after AND seq <= up_to ORDER BY seq
    ) AS part
  );
END $$;

-- The hash of a row, NULL if it isn't there.
CREATE FUNCTION @schema@.hash_at(name_ text, seq_ bigint) RETURNS text LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT @schema@.hash_of(r.line) FROM @schema@.rows r JOIN @schema@.ledgers l USING (ledger)
    WHERE l.name = name_ AND r.seq = seq_ AND @schema@.may(l, false)
  );
END $$;

-- Whether a row that came after one concerns what some rows say.
CREATE FUNCTION @schema@.concerned(ledger_ int, after bigint, rows_ text[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  runs constant text[] := ARRAY(SELECT DISTINCT split_part(one, E'\x1f', 3) FROM unnest(rows_) AS one);
  of_models constant text[] := ARRAY['register', 'promote', 'refuse'];
  is_of_models constant boolean := EXISTS (
    SELECT FROM unnest(rows_) AS one WHERE split_part(one, E'\x1f', 2) = ANY (of_models)
  );
BEGIN
  RETURN EXISTS (
    SELECT FROM @schema@.rows r, LATERAL (SELECT convert_from(r.line, 'UTF8') AS text) AS t
    WHERE r.ledger = ledger_ AND r.seq > after AND (
      (split_part(t.text, ',', 4) <> '' AND split_part(t.text, ',', 4) = ANY (runs))
      OR (is_of_models AND split_part(t.text, ',', 3) = ANY (of_models || ARRAY['void', 'end', 'resume']))
    )
  );
END $$;

-- Rows that are to be appended, each as its seven cells after the number, separated by U+001F, JSON not quoted: their bytes
-- from the comma behind the number up to the one before the hash.
CREATE FUNCTION @schema@.check_rows(rows_ text[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  one text;
  cells text[];
  why text;
  n int := 0;
  bodies text[];
  events constant text[] := ARRAY[
    'session', 'run', 'start', 'resume', 'log', 'end', 'note', 'void', 'reveal', 'register', 'promote', 'refuse'
  ];
BEGIN
  FOREACH one IN ARRAY rows_ LOOP
    n := n + 1;
    cells := string_to_array(one, E'\x1f');
    why := CASE
      WHEN cardinality(cells) <> 7 THEN 'it has not seven cells'
      WHEN one ~ E'[\x01-\x1e]' THEN 'it has control characters'
      WHEN cells[1] !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$' THEN 'its time is none'
      WHEN cells[2] <> ALL (events) THEN 'its event is not one that may be written'
      WHEN cells[3] !~ '^([0-9A-Za-z][0-9A-Za-z._-]*)?$' OR length(cells[3]) > 128 THEN 'its run id is none'
      -- What isn't JSON is refused by the cast.
      WHEN left(cells[4], 1) || left(cells[5], 1) || left(cells[6], 1) || left(cells[7], 1) !~ '^[{]*$' OR num_nulls(
        nullif(cells[4], '')::jsonb, nullif(cells[5], '')::jsonb, nullif(cells[6], '')::jsonb, nullif(cells[7], '')::jsonb
      ) IS NULL
        THEN 'a cell of JSON is no object'
    END;
    IF why IS NOT NULL THEN
      RAISE EXCEPTION 'fitledger: row % of the append is refused: %', n, why USING ERRCODE = 'data_exception';
    END IF;
    bodies[n] := @schema@.row_body(cells);
  END LOOP;
  RETURN bodies;
END $$;

-- Appends rows to a ledger whose head is locked.
CREATE FUNCTION @schema@.append_to(
  l @schema@.ledgers, request_ text, seen_seq bigint, seen_hash text, decided_on bigint, rows_ text[], bodies text[], settled text
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  known bigint;
  seen text;
  body text;
  first constant bigint := l.seq + 1;
BEGIN
  SELECT seq INTO known FROM @schema@.rows WHERE ledger = l.ledger AND request = request_;
  IF FOUND THEN
    RETURN ARRAY['ok', known::text, (known + cardinality(rows_) - 1)::text, (
      SELECT @schema@.hash_of(line) FROM @schema@.rows WHERE ledger = l.ledger AND seq = known + cardinality(rows_) - 1
    ), 'pending'];
  END IF;
  IF seen_seq = l.seq THEN
    seen := l.hash;
  ELSE
    SELECT @schema@.hash_of(line) INTO seen FROM @schema@.rows WHERE ledger = l.ledger AND seq = seen_seq;
  END IF;
  IF seen IS DISTINCT FROM seen_hash THEN
    RETURN ARRAY['unseen'];
  END IF;
  IF decided_on <> 0 AND decided_on < l.seq AND @schema@.concerned(l.ledger, decided_on, rows_) THEN
    RETURN ARRAY['conflict'];
  END IF;
  FOR n IN 1 .. cardinality(bodies) LOOP
    l.seq := l.seq + 1;
    body := l.seq || bodies[n];
    -- Of 16 MiB a comma, the hash and the line feed take 66 bytes. Nobody could read a longer one, nor what follows it.
    IF octet_length(body) > 16 * 1024 * 1024 - 66 THEN
      RAISE EXCEPTION 'fitledger: row % of the append is refused: it takes more than 16 MiB', n USING ERRCODE = 'data_exception';
    END IF;
    l.hash := @schema@.row_hash(l.hash, body);
    INSERT INTO @schema@.rows (ledger, seq, line, request)
    VALUES (l.ledger, l.seq, convert_to(body || ',' || l.hash, 'UTF8'), CASE n WHEN 1 THEN request_ END);
  END LOOP;
  UPDATE @schema@.ledgers SET seq = l.seq, hash = l.hash WHERE ledger = l.ledger;
  RETURN ARRAY['ok', first::text, l.seq::text, l.hash, settled];
END $$;

-- Appends rows, as `check_rows()` takes them, separated by U+001E.
--
-- `request_` is a random name of this append: known already, it is done, and what it gave is given again. That alone makes
-- an append happen once: the backend of a client that is gone may still wait for the lock. `seen_` is a row that the client
-- has seen; if it doesn't stand, this is not the record that the client knows. `decided_on`, if it isn't 0, is the last row
-- that was known when the rows were decided: they are appended only if none that came since concerns the same run, or, for
-- what becomes of models, a model or the end of a run.
--
-- `ok, first, last, hash, settled`; else why nothing was appended: `conflict`, `unseen`, `forbidden`, `unknown`;
-- `locked` where others hold the lock for long. `pending` in the place of `settled` where others are at
-- it, or the request was known: then the rows may not be on disk yet.
CREATE FUNCTION @schema@.append_rows(
  name_ text, request_ text, seen_seq bigint, seen_hash text, decided_on bigint, rows_ text
) RETURNS text[] LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  l @schema@.ledgers;
  all_ constant text[] := string_to_array(rows_, E'\x1e');
  -- Under the lock, for which others wait, is only what needs it.
  bodies constant text[] := @schema@.check_rows(all_);
BEGIN
  SELECT * INTO l FROM @schema@.ledgers x WHERE x.name = name_ AND @schema@.may(x, true) FOR NO KEY UPDATE SKIP LOCKED;
  -- Nobody has come since the client has looked: most likely it is alone, and one transaction is cheaper than two.
  IF l.seq = seen_seq THEN
    PERFORM @schema@.wait_for_disk();
    RETURN @schema@.append_to(l, request_, seen_seq, seen_hash, decided_on, all_, bodies, 'settled');
  END IF;
  -- Others are at it: nobody is to wait for the disk under the lock.
  PERFORM set_config('synchronous_commit', 'off', true);
  IF l.seq IS NOT NULL THEN
    RETURN @schema@.append_to(l, request_, seen_seq, seen_hash, decided_on, all_, bodies, 'pending');
  END IF;
  -- Who waits for it longer than `lock_timeout` tells their user, and comes again. What is locked in the block, a transaction
  -- inside of the other one, is changed in it, too: else it would be locked by two.
  BEGIN
    SELECT * INTO l FROM @schema@.ledgers x WHERE x.name = name_ AND @schema@.may(x, true) FOR NO KEY UPDATE;
    IF FOUND THEN
      RETURN @schema@.append_to(l, request_, seen_seq, seen_hash, decided_on, all_, bodies, 'pending');
    END IF;
  EXCEPTION WHEN lock_not_available THEN
    RETURN ARRAY['locked'];
  END;
  RETURN ARRAY[CASE WHEN EXISTS (SELECT FROM @schema@.ledgers WHERE name = name_) THEN 'forbidden' ELSE 'unknown' END];
END $$;

-- The same, as one text, the parts of the answer separated by U+001F. When it answers, what it has appended is committed, and on
-- disk, too, if `to_wait`: where others were at it, it waits in a transaction of its own. Only a procedure can, and one that
-- says neither whose rights it has nor where names are looked up: so all of its names are qualified. Inside a transaction
-- COMMIT is an error; who may be in one says by `outside` whether they are, and is told without.
CREATE PROCEDURE @schema@.append(
  name_ text, request_ text, seen_seq bigint, seen_hash text, decided_on bigint, rows_ text, to_wait boolean, outside boolean,
  INOUT answer text
) LANGUAGE plpgsql AS $$
DECLARE
  answers pg_catalog.text[];
BEGIN
  IF NOT outside THEN
    answer := 'in_transaction';
    RETURN;
  END IF;
  answers := @schema@.append_rows(name_, request_, seen_seq, seen_hash, decided_on, rows_);
  COMMIT;
  IF to_wait AND answers[5] OPERATOR(pg_catalog.=) 'pending' THEN
    PERFORM @schema@.flush();
    COMMIT;
    answers[5] := 'settled';
  END IF;
  answer := pg_catalog.array_to_string(answers, E'\x1f');
END $$;

-- Which of some objects have no complete upload that whoever asks can rely on: one that was hashed here, or their own. Else
-- somebody could keep others from storing an object by an upload that isn't what its name says.
CREATE FUNCTION @schema@.missing_objects(name_ text, sha256_ text[]) RETURNS text[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(wanted), '{}') FROM unnest(sha256_) AS wanted
  WHERE NOT EXISTS (
    SELECT FROM @schema@.uploads u JOIN @schema@.ledgers l USING (ledger)
    WHERE l.name = name_ AND u.sha256 = wanted AND u.parts IS NOT NULL AND (u.checked OR u.by_user = session_user)
      AND @schema@.may(l, false)
  )
$$;

CREATE FUNCTION @schema@.begin_upload(name_ text, sha256_ text) RETURNS bigint LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ledger_ int;
  upload_ bigint;
BEGIN
  SELECT ledger INTO ledger_ FROM @schema@.ledgers l WHERE name = name_ AND @schema@.may(l, true);
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- A number that a crash takes back would be given to somebody else's, too.
  PERFORM @schema@.wait_for_disk();
  INSERT INTO @schema@.uploads (ledger, sha256) VALUES (ledger_, sha256_) RETURNING upload INTO upload_;
  RETURN upload_;
END $$;

CREATE FUNCTION @schema@.put_part(upload_ bigint, part_ int, bytes_ bytea) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM @schema@.uploads WHERE upload = upload_ AND parts IS NULL AND by_user = session_user;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO @schema@.parts VALUES (upload_, part_, bytes_) ON CONFLICT DO NOTHING;
  RETURN true;
END $$;

-- From here on others see the object, unless it isn't whole, or not what its name says: then false. What is too large to be
-- hashed at once is hashed by its readers alone. All of these may be called again by who lost the answer. It is on disk before
-- the row that names it, which is sent later.
CREATE FUNCTION @schema@.end_upload(upload_ bigint, parts_ int) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  u @schema@.uploads;
  there int;
  size bigint;
  most_hashed constant bigint := 64 * 1024 * 1024;
BEGIN
  SELECT * INTO u FROM @schema@.uploads WHERE upload = upload_ AND by_user = session_user FOR UPDATE;
  IF NOT FOUND OR u.parts IS NOT NULL THEN
    RETURN FOUND AND u.parts = parts_;
  END IF;
  SELECT count(*), sum(length(bytes)) INTO there, size FROM @schema@.parts WHERE upload = upload_ AND part >= 0 AND part < parts_;
  IF there <> parts_ OR there = 0 THEN
    RETURN false;
  END IF;
  IF size <= most_hashed THEN
    IF u.sha256 <> (
      SELECT encode(sha256(string_agg(bytes, ''::bytea ORDER BY part)), 'hex')
      FROM @schema@.parts WHERE upload = upload_ AND part >= 0 AND part < parts_
    ) THEN
      RETURN false;
    END IF;
    u.checked := true;
  END IF;
  PERFORM @schema@.wait_for_disk();
  UPDATE @schema@.uploads SET parts = parts_, checked = u.checked WHERE upload = upload_;
  RETURN true;
END $$;

-- The uploads of an object, with the number of parts of each: `upload, parts, upload, parts, …`, the ones that were
-- hashed here first.
CREATE FUNCTION @schema@.uploads_of(name_ text, sha256_ text) RETURNS text[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(x ORDER BY u.checked DESC, u.upload, is_parts), '{}')
  FROM @schema@.uploads u JOIN @schema@.ledgers l USING (ledger),
    LATERAL (VALUES (u.upload::text, false), (u.parts::text, true)) AS v (x, is_parts)
  WHERE l.name = name_ AND u.sha256 = sha256_ AND u.parts IS NOT NULL AND @schema@.may(l, false)
$$;

CREATE FUNCTION @schema@.get_part(upload_ bigint, part_ int) RETURNS bytea LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT p.bytes FROM @schema@.parts p JOIN @schema@.uploads u USING (upload) JOIN @schema@.ledgers l USING (ledger)
  WHERE p.upload = upload_ AND p.part = part_ AND @schema@.may(l, false)
$$;

-- Lets a role, and whoever is a member of it, read a ledger, or write to it, too. For the ledger's owner.
CREATE FUNCTION @schema@.share(name_ text, role_ text, may_write_ boolean) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ledger_ int;
BEGIN
  SELECT ledger INTO ledger_ FROM @schema@.ledgers WHERE name = name_ AND owner = session_user;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  -- GRANT takes `public` for everybody, whose rights nobody would look up.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_) THEN
    RAISE EXCEPTION 'fitledger: there is no role "%"', role_ USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA @schema@ TO %I', role_);
  EXECUTE format(
    'GRANT EXECUTE ON ROUTINE @schema@.look, @schema@.read_rows, @schema@.hash_at, @schema@.append, @schema@.append_rows, '
    '@schema@.flush, @schema@.missing_objects, @schema@.begin_upload, @schema@.put_part, @schema@.end_upload, '
    '@schema@.uploads_of, @schema@.get_part TO %I', role_
  );
  INSERT INTO @schema@.rights VALUES (ledger_, role_, may_write_)
  ON CONFLICT (ledger, role) DO UPDATE SET may_write = excluded.may_write;
  RETURN true;
END $$;

REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA @schema@ FROM PUBLIC;
