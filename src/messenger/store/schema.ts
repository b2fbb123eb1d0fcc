// The tables of the database, as numbered migrations: each runs once, in order, in a transaction of its own. The
// messenger's thread, at start. A migration that was released is never changed; a change is a new one at the end.

export const migrations: readonly string[] = [
  `
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    nickname TEXT NOT NULL,
    -- Folded by case and compatibility forms: who looks alike is the same.
    nickname_key TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    -- Folded the same way, to be found by; '' once deleted.
    display_key TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
    state TEXT NOT NULL CHECK (state IN ('active', 'blocked', 'deleted')),
    created_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL DEFAULT 0,
    -- NULL: what the configuration says.
    quota_bytes INTEGER,
    used_bytes INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX users_by_display ON users (display_key);

  CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    address TEXT NOT NULL,
    device TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_user ON sessions (user_id, used_ms);
  -- For the sweep that ends them.
  CREATE INDEX sessions_by_expiry ON sessions (expires_ms);
  CREATE INDEX sessions_by_use ON sessions (used_ms);

  CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('direct', 'group', 'everyone')),
    name TEXT NOT NULL,
    -- 'smaller:larger' user id; NULL for others.
    direct_key TEXT UNIQUE,
    created_by INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL DEFAULT 0,
    rev INTEGER NOT NULL DEFAULT 0,
    first_seq INTEGER NOT NULL DEFAULT 1,
    -- NULL: what the configuration says; 0: for ever.
    retention_days INTEGER,
    member_count INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX conversations_by_maker ON conversations (created_by, created_ms);
  -- Nobody is in them any more: what is left of them is deleted in slices.
  CREATE INDEX conversations_abandoned ON conversations (id) WHERE member_count = 0 AND kind <> 'everyone';

  CREATE TABLE members (
    conversation_id INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    joined_ms INTEGER NOT NULL,
    read_seq INTEGER NOT NULL DEFAULT 0,
    delivered_seq INTEGER NOT NULL DEFAULT 0,
    muted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation_id, user_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX members_by_user ON members (user_id, conversation_id);

  CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    author_id INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    text TEXT NOT NULL,
    reply_to INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    edited_ms INTEGER NOT NULL DEFAULT 0,
    deleted_ms INTEGER NOT NULL DEFAULT 0,
    -- Which of reactions, mentions, attachments, edits, a pin it has (bits), so that most messages are read from one table.
    extras INTEGER NOT NULL DEFAULT 0,
    -- The rev that its sender was told, to be told again when the same is sent again.
    sent_rev INTEGER NOT NULL DEFAULT 0,
    UNIQUE (conversation_id, seq),
    UNIQUE (conversation_id, author_id, client_id)
  ) STRICT;
  CREATE UNIQUE INDEX messages_by_rev ON messages (conversation_id, rev);
  CREATE INDEX messages_by_time ON messages (created_ms);

  -- Changes of a conversation that are no message's: members came and went, it was named anew.
  CREATE TABLE changes (
    conversation_id INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    rev INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (conversation_id, rev)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE edits (
    message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    edited_ms INTEGER NOT NULL,
    -- What it said before.
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX edits_by_message ON edits (message_id, edited_ms);

  CREATE TABLE reactions (
    message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    emoji TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (message_id, emoji, user_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE mentions (
    user_id INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    PRIMARY KEY (user_id, conversation_id, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX mentions_by_message ON mentions (message_id);

  CREATE TABLE pins (
    conversation_id INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    pinned_ms INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, seq)
  ) STRICT, WITHOUT ROWID;

  -- Content, once for all files that have it.
  CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    files INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_unused ON blobs (sha256) WHERE files = 0;

  CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id TEXT NOT NULL UNIQUE,
    owner_id INTEGER NOT NULL,
    sha256 TEXT NOT NULL REFERENCES blobs,
    size INTEGER NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    blur TEXT,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private', 'users', 'conversation')),
    created_ms INTEGER NOT NULL,
    -- Counted when a download came to its end.
    downloads INTEGER NOT NULL DEFAULT 0,
    downloaded_bytes INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX files_by_owner ON files (owner_id, id);
  CREATE INDEX files_by_blob ON files (sha256);
  CREATE INDEX files_public ON files (id) WHERE visibility = 'public';
  CREATE INDEX files_by_downloads ON files (downloads, id) WHERE downloads > 0;

  CREATE TABLE file_users (
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (file_id, user_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX file_users_by_user ON file_users (user_id, file_id);

  CREATE TABLE attachments (
    message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    position INTEGER NOT NULL,
    file_id INTEGER NOT NULL REFERENCES files,
    conversation_id INTEGER NOT NULL,
    PRIMARY KEY (message_id, position)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX attachments_by_file ON attachments (file_id, conversation_id);
  CREATE INDEX attachments_by_conversation ON attachments (conversation_id, file_id);

  CREATE TABLE downloads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    user_id INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX downloads_by_file ON downloads (file_id, id);
  CREATE INDEX downloads_by_time ON downloads (at_ms);

  -- Unfinished uploads: their whole size counts against the quota from the start.
  CREATE TABLE uploads (
    -- The public id of the file that it becomes.
    id TEXT PRIMARY KEY,
    owner_id INTEGER NOT NULL,
    size INTEGER NOT NULL,
    name TEXT NOT NULL,
    visibility TEXT NOT NULL,
    -- The request that writes to it now; '' = none.
    holder TEXT NOT NULL,
    -- 0: in one request, which ends with the process.
    resumable INTEGER NOT NULL,
    used_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX uploads_by_owner ON uploads (owner_id);
  CREATE INDEX uploads_by_time ON uploads (used_ms);

  -- One row: what all blobs and all unfinished uploads take together. Kept by triggers, as are blobs.files and
  -- users.used_bytes, so that no way of deleting forgets to count.
  CREATE TABLE storage (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    stored_bytes INTEGER NOT NULL,
    reserved_bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO storage VALUES (1, 0, 0);
  CREATE TRIGGER blob_added AFTER INSERT ON blobs BEGIN
    UPDATE storage SET stored_bytes = stored_bytes + NEW.size;
  END;
  CREATE TRIGGER blob_gone AFTER DELETE ON blobs BEGIN
    UPDATE storage SET stored_bytes = stored_bytes - OLD.size;
  END;
  CREATE TRIGGER upload_added AFTER INSERT ON uploads BEGIN
    UPDATE storage SET reserved_bytes = reserved_bytes + NEW.size;
  END;
  CREATE TRIGGER upload_gone AFTER DELETE ON uploads BEGIN
    UPDATE storage SET reserved_bytes = reserved_bytes - OLD.size;
  END;
  CREATE TRIGGER file_added AFTER INSERT ON files BEGIN
    UPDATE blobs SET files = files + 1 WHERE sha256 = NEW.sha256;
    UPDATE users SET used_bytes = used_bytes + NEW.size WHERE id = NEW.owner_id;
  END;
  CREATE TRIGGER file_gone AFTER DELETE ON files BEGIN
    UPDATE blobs SET files = files - 1 WHERE sha256 = OLD.sha256;
    UPDATE users SET used_bytes = used_bytes - OLD.size WHERE id = OLD.owner_id;
  END;

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    actor_id INTEGER NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    address TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_time ON audit (at_ms);

  CREATE TABLE hours (
    hour INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL DEFAULT 0,
    bytes_up INTEGER NOT NULL DEFAULT 0,
    bytes_down INTEGER NOT NULL DEFAULT 0,
    downloads INTEGER NOT NULL DEFAULT 0
  ) STRICT;

  -- Search. rowid = messages.id. 'tags' holds what filters ask for (conversation, author, kinds of attachments), so that
  -- the index itself leaves out what the asker may not read. Contentless: the texts stand in messages alone.
  CREATE VIRTUAL TABLE message_words USING fts5(
    text, names, tags, content='', contentless_delete=1, prefix='1 2 3', tokenize='unicode61 remove_diacritics 2'
  );
  -- The same for parts of words, in pieces of three characters.
  CREATE VIRTUAL TABLE message_parts USING fts5(
    text, names, tags, content='', contentless_delete=1, detail=full, tokenize='trigram remove_diacritics 1'
  );
  -- Each commit adds a piece to an index, and pieces are merged when there are so many. Measured with 1,000,000 messages and
  -- five in a commit: 8 takes half the time of the default 4, and the slowest hundredth of commits an eighth; more than 8
  -- saves nothing, and all pieces are read by each search.
  INSERT INTO message_words (message_words, rank) VALUES ('automerge', 8);
  INSERT INTO message_parts (message_parts, rank) VALUES ('automerge', 8);
  -- rowid = files.id.
  CREATE VIRTUAL TABLE file_words USING fts5(
    name, tags, content='', contentless_delete=1, tokenize='trigram remove_diacritics 1'
  );

  INSERT INTO settings (key, value) VALUES ('archive', lower(hex(randomblob(8))));
  INSERT INTO conversations (id, kind, name, created_by, created_ms) VALUES (1, 'everyone', '', 0, 0);
  `,
]

/** The conversation of all users. */
export const EVERYONE = 1

/** Bits of messages.extras. */
export const HAS = { reactions: 1, mentions: 2, attachments: 4, edits: 8, pin: 16 } as const

/** In the data directory. */
export const DATABASE_FILE = 'fanwire.db'
