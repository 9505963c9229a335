//! Tests of the whole program.
//!
//! `program` runs it; `traffic` reads scripts of conversations, `packets` writes them as captures.
//!
//! `corpus` replays what fuzzing found, `account` is what `--summary` writes, `completeness` what is
//! said of learning.
//!
//! `cases` are folders of readable input and expected output, those of `engine`, `lint` and `mistakes` (`transcripts` runs them) need
//! no traffic; `conformance` holds verdict tables against `reach`; `input` is what goes wrong with files, `inplace` a directory that is
//! written to again, `arguments` what
//! people type, `awaited` what is declared and was not seen; `snapshots` show the output of the recordings in `pcaps/`,
//! `recordings` hold it against their true edges; `unused` is what is said of rules, `redundancy` of those that are allowed
//! twice, `evidence` how much has to be watched for it; `reports` are findings as SARIF and markdown, `report` what people look at before they merge, `page` the same in a browser; `properties` hold for any
//! traffic, `rendering` for any policy; `live` is the live cluster, played by `fakeapi`; `libpcap`, `captures`, `examiner`,
//! `applications` and `npguard` ask others: a capture library, another decoder of public captures, an independent
//! examiner, the manifests of real applications, and another analyzer of policies (`shared` knows where they are).
//!
//! `docs` runs what README.md and docs/ show; `snippets` finds the commands in them, `shell` reads them. `formats` looks for the
//! fields of machine formats there.
//!
//! `kernel` records live traffic in network namespaces, `faults` what goes wrong meanwhile, `agents` a cluster of both.
//!
//! `apiserver` runs a real API server, which `admission` asks about policies and `deploy` about the manifests. `action` is
//! what pull requests get, on a `runner` of GitHub's or GitLab's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod account;
mod action;
mod admission;
mod agents;
mod apiserver;
mod applications;
mod arguments;
mod awaited;
mod captures;
mod cases;
mod completeness;
mod conformance;
mod corpus;
mod deploy;
mod docs;
mod doubts;
mod engine;
mod evidence;
mod examiner;
#[allow(dead_code, reason = "the tests of the agent use the rest of it")]
mod fakeapi;
mod faults;
mod formats;
mod hot;
mod inplace;
mod input;
mod kernel;
mod libpcap;
mod lint;
mod live;
mod log;
mod mistakes;
mod npguard;
mod packets;
mod page;
mod program;
mod properties;
mod recordings;
mod redundancy;
mod rendering;
mod report;
mod reports;
mod runner;
mod shared;
mod shell;
mod snapshots;
mod snippets;
mod traffic;
mod transcripts;
mod unused;
