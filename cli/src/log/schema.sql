-- The flow log, version 1: who talked to whom, as one or several observers saw it.
--
-- An SQLite database with application_id 0x52464c47 ("RFLG") and user_version 1. Times are nanoseconds since the Unix
-- epoch, UTC. Addresses are text as RFC 5952 writes them, '' where there is none. All values of a row but its key only
-- ever grow (or shrink, where it says so), so that merging two logs is a union in which equal keys take the larger value.
-- To look inside, open a copy:
--   SELECT client, dialled, dialled_port, protocol, outcome, sum(connections) FROM flow GROUP BY 1, 2, 3, 4, 5;
-- Whoever changes a row by hand breaks the checksums in `seal`, and the log is refused.

-- Who watched. Observers of two logs are the same if their names are.
CREATE TABLE observer (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,      -- of captures sha256:HASH, of one file its own; of several that of their sorted hashes
  kind TEXT NOT NULL,             -- agent, record, capture
  node TEXT NOT NULL,             -- the Kubernetes node it watched, '' where it is none or not known
  grain INTEGER NOT NULL,         -- no row of several conversations leaves a stretch of so many nanoseconds
  flush INTEGER NOT NULL          -- number of the last flush
) STRICT;

-- Conversations that differ in nothing but the client's port and the time, within one stretch of time (alone = 0); or one of
-- which another view may turn up elsewhere (alone = 1).
CREATE TABLE flow (
  observer INTEGER NOT NULL,
  client TEXT NOT NULL,           -- opened = unseen: the lower of two equal sides
  client_port INTEGER NOT NULL,   -- -1 where alone = 0
  dialled TEXT NOT NULL,          -- the address the client used; opened = unseen: the higher side
  dialled_port INTEGER NOT NULL,
  served TEXT NOT NULL,           -- the server's address after translation, where it was seen and differs
  served_port INTEGER NOT NULL,   -- -1 where there is none
  protocol TEXT NOT NULL,         -- TCP, UDP, SCTP
  outcome TEXT NOT NULL,          -- established, answered, oneway, refused, unanswered, unknown
  opened TEXT NOT NULL,           -- what was seen of the opening: handshake, half, first_packet, unseen
  dns INTEGER NOT NULL,           -- 1: a DNS message was read
  translated INTEGER NOT NULL,    -- 1: a later view showed another source address
  alone INTEGER NOT NULL,
  identity INTEGER NOT NULL,      -- TCP's initial sequence number, SCTP's initiate tag; 0 where alone = 0
  stretch INTEGER NOT NULL,       -- alone = 0: start of the stretch, or the last change of a holder in it; 1: `first`
  connections INTEGER NOT NULL,   -- conversations
  datagrams INTEGER NOT NULL,     -- UDP without an answer: different datagrams, at most four of each conversation
  first INTEGER NOT NULL,         -- the first packet; shrinks, with the port and identity of that conversation
  first_port INTEGER NOT NULL,
  first_identity INTEGER NOT NULL,
  last INTEGER NOT NULL,          -- the last packet of any
  newest INTEGER NOT NULL,        -- the first packet of the conversation that began last
  minutes INTEGER NOT NULL,       -- bit n: one was opened in minute n of the hour in which the stretch begins
  activity TEXT NOT NULL,         -- opened beyond that hour: bins as WIDTH:START,START in minutes since the epoch
  talks INTEGER NOT NULL,         -- application protocols, a bit each: cli/src/log/codes.rs
  speech INTEGER NOT NULL,        -- opened = unseen: 1 request, 2 response of the lower side; 4, 8 of the higher
  latency TEXT NOT NULL,          -- from SYN to SYN-ACK: VALUE:COUNT,VALUE:COUNT in microseconds
  PRIMARY KEY (observer, client, client_port, dialled, dialled_port, served, served_port, protocol, outcome, opened, dns,
    translated, alone, identity, stretch)
) STRICT, WITHOUT ROWID;

-- Attempts too young to be given up, as of the observer's last flush: each flush replaces them, and merging takes those of
-- the larger flush. Columns as in flow; the outcome is what it will be if nothing else comes.
CREATE TABLE pending (
  observer INTEGER NOT NULL, client TEXT NOT NULL, client_port INTEGER NOT NULL, dialled TEXT NOT NULL,
  dialled_port INTEGER NOT NULL, served TEXT NOT NULL, served_port INTEGER NOT NULL, protocol TEXT NOT NULL,
  outcome TEXT NOT NULL, opened TEXT NOT NULL, dns INTEGER NOT NULL, translated INTEGER NOT NULL, alone INTEGER NOT NULL,
  identity INTEGER NOT NULL, stretch INTEGER NOT NULL, connections INTEGER NOT NULL, datagrams INTEGER NOT NULL,
  first INTEGER NOT NULL, first_port INTEGER NOT NULL, first_identity INTEGER NOT NULL, last INTEGER NOT NULL,
  newest INTEGER NOT NULL, minutes INTEGER NOT NULL, activity TEXT NOT NULL, talks INTEGER NOT NULL,
  speech INTEGER NOT NULL, latency TEXT NOT NULL,
  PRIMARY KEY (observer, client, client_port, dialled, dialled_port, served, served_port, protocol, outcome, opened, dns,
    translated, alone, identity, stretch)
) STRICT, WITHOUT ROWID;

-- Pods that an observer knew. The newest version counts, with all its columns.
CREATE TABLE pod (
  observer INTEGER NOT NULL,
  uid TEXT NOT NULL,
  version INTEGER NOT NULL,       -- metadata.resourceVersion
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  owner_kind TEXT NOT NULL,       -- the top owner, '' where it is not known
  owner_name TEXT NOT NULL,
  node TEXT NOT NULL,
  object TEXT NOT NULL,           -- reduced, JSON
  PRIMARY KEY (observer, uid)
) STRICT, WITHOUT ROWID;

-- Which address a pod held when.
CREATE TABLE tenure (
  observer INTEGER NOT NULL,
  address TEXT NOT NULL,
  pod TEXT NOT NULL,              -- its uid; '' for the observer's own node
  since INTEGER NOT NULL,
  until INTEGER,                  -- NULL: still
  PRIMARY KEY (observer, address, pod, since)
) STRICT, WITHOUT ROWID;

-- Ranges that stand for outside addresses of which there were too many to keep apart: in flow and pending the first address
-- of such a range means all of it.
CREATE TABLE fold (
  observer INTEGER NOT NULL,
  range TEXT NOT NULL,            -- ADDRESS/LENGTH
  connections INTEGER NOT NULL,   -- conversations of which a side is written so
  PRIMARY KEY (observer, range)
) STRICT, WITHOUT ROWID;

-- Names that stood for addresses: from DNS answers and TLS server names.
CREATE TABLE name (
  observer INTEGER NOT NULL,
  address TEXT NOT NULL,
  name TEXT NOT NULL,
  asker TEXT NOT NULL,            -- for whom
  PRIMARY KEY (observer, address, name, asker)
) STRICT, WITHOUT ROWID;

-- What was watched: a capture file, or an interface from when it was attached to when it was let go.
CREATE TABLE coverage (
  observer INTEGER NOT NULL,
  source TEXT NOT NULL,           -- the file's sha256; the interface's name
  run INTEGER NOT NULL,           -- files: their number in one run, where one was given twice; interfaces: when they were attached
  name TEXT NOT NULL,             -- for people; of two the lesser
  position INTEGER NOT NULL,      -- in the order given; of two the lesser
  started INTEGER,                -- first packet, or attached; shrinks; NULL where there was no packet
  until INTEGER,                  -- last packet, or last flush
  frames INTEGER NOT NULL,
  damaged INTEGER NOT NULL,       -- records of a file that were stepped over
  first_damaged TEXT NOT NULL,    -- PACKET:BYTE:MESSAGE of the first of them, '' where there is none
  damage TEXT NOT NULL,           -- the same of where reading ended before the file did
  PRIMARY KEY (observer, source, run)
) STRICT, WITHOUT ROWID;

-- The interfaces of a source, with the counters of the capturing host where it has them.
CREATE TABLE interface (
  observer INTEGER NOT NULL,
  source TEXT NOT NULL,
  run INTEGER NOT NULL,
  number INTEGER NOT NULL,
  name TEXT,
  link INTEGER NOT NULL,          -- LINKTYPE_ of the tcpdump registry
  frames INTEGER NOT NULL,
  received INTEGER,
  accepted INTEGER,
  lost_by_interface INTEGER,
  lost_by_system INTEGER,
  PRIMARY KEY (observer, source, run, number)
) STRICT, WITHOUT ROWID;

-- What became of frames, and what did not fit into memory.
CREATE TABLE tally (
  observer INTEGER NOT NULL,
  counter TEXT NOT NULL,          -- frames, packets, skipped NAME, opaque NAME, evicted ...
  count INTEGER NOT NULL,
  PRIMARY KEY (observer, counter)
) STRICT, WITHOUT ROWID;

-- How far the clocks of two sources of one observer are apart.
CREATE TABLE skew (
  observer INTEGER NOT NULL,
  one TEXT NOT NULL,              -- SOURCE RUN
  two TEXT NOT NULL,              -- the same, greater
  ahead INTEGER NOT NULL,         -- median, positive where the clock of `two` is ahead
  PRIMARY KEY (observer, one, two)
) STRICT, WITHOUT ROWID;

-- Number of rows of each table and the sum of their checksums, so that what a disk or a copy changes is noticed.
CREATE TABLE seal (
  "table" TEXT PRIMARY KEY,
  rows INTEGER NOT NULL,
  sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
