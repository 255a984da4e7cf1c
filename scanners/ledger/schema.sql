CREATE TABLE chain (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created TEXT NOT NULL,
  salt TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blob (
  sha256 TEXT NOT NULL PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;
CREATE TABLE entry (
  chain TEXT NOT NULL REFERENCES chain (id),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  previous TEXT NOT NULL,
  added TEXT NOT NULL,
  statement_sha256 TEXT NOT NULL REFERENCES blob (sha256),
  bundle_sha256 TEXT NOT NULL REFERENCES blob (sha256),
  findings_sha256 TEXT NOT NULL,
  record_sha256 TEXT NOT NULL REFERENCES blob (sha256),
  evidence_sha256 TEXT NOT NULL,
  key_id TEXT NOT NULL,
  signer_sha256 TEXT NOT NULL,
  verdict TEXT NOT NULL,
  hostname TEXT NOT NULL,
  host_key_sha256 TEXT NOT NULL,
  machine_id_hmac TEXT NOT NULL,
  profile TEXT NOT NULL,
  image_sha256 TEXT NOT NULL,
  content TEXT NOT NULL,
  content_sha256 TEXT NOT NULL,
  started TEXT NOT NULL,
  finished TEXT NOT NULL,
  score TEXT NOT NULL,
  counts TEXT NOT NULL,
  open_findings TEXT NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (chain, seq),
  UNIQUE (chain, statement_sha256)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER chain_unique BEFORE INSERT ON chain
WHEN EXISTS (SELECT 1 FROM chain WHERE id = NEW.id OR name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'the chain already exists'); END;
CREATE TRIGGER chain_no_update BEFORE UPDATE ON chain
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER chain_no_delete BEFORE DELETE ON chain
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER blob_unique BEFORE INSERT ON blob
WHEN EXISTS (SELECT 1 FROM blob WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER blob_no_update BEFORE UPDATE ON blob
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER blob_no_delete BEFORE DELETE ON blob
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entry_append BEFORE INSERT ON entry
WHEN NEW.seq IS NOT 1 + coalesce(
    (SELECT seq FROM entry WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1), 0)
  OR NEW.previous IS NOT coalesce(
    (SELECT hash FROM entry WHERE chain = NEW.chain ORDER BY seq DESC LIMIT 1), NEW.chain)
  OR EXISTS (SELECT 1 FROM entry
    WHERE chain = NEW.chain AND statement_sha256 = NEW.statement_sha256)
BEGIN SELECT RAISE(ABORT, 'not the next row of its chain'); END;
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
