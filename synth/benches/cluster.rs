//! How connectivity as sets grows with the cluster.
//!
//! ```text
//! cargo bench -p ringfence-synth --bench cluster              # every row, some minutes
//! cargo bench -p ringfence-synth --bench cluster -- 10000     # the rows of one number of pods
//! ```
//!
//! Prints a table. Times are CPU time, user and system (`/proc/self/stat`, so Linux only), of one thread; each row is a
//! process of its own, whose highest resident memory (`VmHWM`) is the last column, the objects of the cluster included.
//! Machines differ: compare rows with each other, not seconds with seconds.
//!
//! - *cluster*: "NP" has NetworkPolicies only, "CNP" five cluster-wide policies besides, "dual" both and IPv6 addresses.
//! - *make*: classes and compiled policies of one set, from objects in memory.
//! - *summary*: [`Summary::of`].
//! - *pairs*: every pair of workloads with its ports, as `reach` lists them, each dropped at once.
//! - *diff 1 %*: classes for two sets, both compiled, and [`diff::policies`]; one policy in a hundred differs.
//! - *all new*: how the rows of every class differ between no policies at all and this set, counted and not named.
//!   Named, that is nearly every pair of workloads: a second table has [`diff::policies`] for it, where that many changes
//!   fit into memory.
//! - *verdict*: one of a million between pods and ports by lot, by [`Reach::decision`]; half of them in one namespace.
//!   *evaluator*: by [`Evaluator::allowed`], the first hundred thousand of the same. Their answers are compared.
//!
//! Any other run than `cargo bench` measures nothing and only checks the answers on a small cluster.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use synth::cluster::ClusterPolicy;
use synth::diff;
use synth::evaluate::{Decision, Evaluator, Options, Party};
use synth::inventory::{Inventory, PodId};
use synth::policy::{Policy, PolicySet};
use synth::port::Protocol;
use synth::reach::listing::{Granularity, Listing};
use synth::reach::summary::Summary;
use synth::reach::{Classes, Reach};

#[path = "cluster/synthetic.rs"]
mod synthetic;

use synthetic::{LISTENING, Random, Size};

const SEED: u64 = 2026;

/// The rows.
const ROWS: [(&str, Size); 8] = [
    ("NP", Size::of(1_000)),
    ("NP", Size::of(10_000)),
    ("NP", Size::of(100_000)),
    ("CNP", Size::of(1_000)),
    ("CNP", Size::of(10_000)),
    ("CNP", Size::of(100_000)),
    ("dual", Size::of(100_000)),
    // The largest cluster that np-guard's analyzer was measured with, nearly every pod a workload.
    ("NP", Size { pods: 735, workloads: 700, policies: 162, namespaces: 20 }),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().position(|argument| argument == name).map(|at| &arguments[at + 1]);
    let row = |number: &String| ROWS[number.parse::<usize>().expect("a row")];
    if let Some((variant, size)) = after("--row").map(row) {
        println!("{}", measure(variant, size));
    } else if let Some((_, size)) = after("--named").map(row) {
        println!("{}", named(size));
    } else if arguments.iter().any(|argument| argument == "--bench") {
        let wanted: Option<usize> = arguments.iter().find_map(|argument| argument.parse().ok());
        table(wanted);
    } else {
        let small = Size { pods: 120, workloads: 20, policies: 20, namespaces: 4 };
        measure("CNP", small);
        named(small);
    }
}

/// Measures each row in a process of its own.
fn table(pods: Option<usize>) {
    let columns = "pods | workloads | policies | namespaces | cluster | make | summary | pairs | diff 1 % | all new \
                   | verdict | evaluator | memory";
    println!("| {columns} |\n|{}", "--:|".repeat(columns.split('|').count()));
    let wanted = || ROWS.iter().enumerate().filter(|(_, (_, size))| pods.is_none_or(|pods| pods == size.pods));
    for (row, (variant, size)) in wanted() {
        let Size { pods, workloads, policies, namespaces } = size;
        println!("| {pods} | {workloads} | {policies} | {namespaces} | {variant} | {} |", child("--row", row));
    }
    println!("\n| pods | changes | all new, named | memory |\n|--:|--:|--:|--:|");
    for (row, (_, size)) in wanted().filter(|(_, (variant, size))| *variant == "NP" && size.pods <= 10_000) {
        println!("| {} | {} |", size.pods, child("--named", row));
    }
}

/// What a process of its own prints about a row.
fn child(task: &str, row: usize) -> String {
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    let command = command.args([task, &row.to_string()]).stderr(std::process::Stdio::inherit());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "row {row}");
    String::from_utf8(output.stdout).expect("text").trim().to_string()
}

/// How many changes there are from no policies to all, with time and memory.
fn named(size: Size) -> String {
    let inventory = synthetic::inventory(size, false, &mut Random(SEED));
    let network = synthetic::policies(size, &mut Random(SEED));
    let mut changes = 0;
    let time = repeat(|| changes = count_changes(&inventory, &[], &network, &[]));
    format!("{changes} | {} | {} MiB", duration(time), peak() >> 20)
}

/// The measured columns of a row; what was counted goes to stderr.
fn measure(variant: &str, size: Size) -> String {
    let inventory = synthetic::inventory(size, variant == "dual", &mut Random(SEED));
    let network = synthetic::policies(size, &mut Random(SEED));
    let changed = synthetic::changed(&network, &mut Random(SEED));
    let cluster = if variant == "NP" { Vec::new() } else { synthetic::cluster_policies() };
    assert_eq!((inventory.pods.len(), network.len()), (size.pods, size.policies));
    let set = PolicySet { network: &network, cluster: &cluster };
    let options = Options::default();
    let mut row = String::new();
    let mut column = |text: String| write!(row, "{}{text}", if row.is_empty() { "" } else { " | " }).expect("a string");
    let mut notes = Vec::new();

    column(duration(repeat(|| {
        let classes = Classes::new(&inventory, &[set], options);
        std::hint::black_box(Reach::new(&classes, set));
    })));
    let classes = Classes::new(&inventory, &[set], options);
    let reach = Reach::new(&classes, set);
    column(duration(repeat(|| {
        std::hint::black_box(Summary::of(&reach));
    })));
    notes.push(format!("{:?}", Summary::of(&reach)));

    let mut pairs = 0;
    column(duration(repeat(|| pairs = count_pairs(&reach))));
    notes.push(format!("{pairs} pairs of workloads"));

    let mut changes = 0;
    column(duration(repeat(|| changes = count_changes(&inventory, &network, &changed, &cluster))));
    notes.push(format!("{changes} changes by 1 %"));

    let mut cells = 0;
    column(duration(repeat(|| cells = from_nothing(&inventory, set))));
    notes.push(format!("{cells} classes and ports differ from no policies"));

    let evaluator = inventory.evaluator(set);
    // Fewer only where nothing is measured.
    let count = if size.pods < 200 { 10_000 } else { 1_000_000 };
    let (mut allowed, mut few) = (0, Vec::new());
    let each = |time: Duration, flows: usize| format!("{} ns", time.as_nanos() / flows as u128);
    column(each(repeat(|| (allowed, few) = verdicts(&inventory, &reach, count)), count));
    notes.push(format!("{allowed} of {count} flows allowed"));
    column(each(repeat(|| check(&inventory, &evaluator, &few)), few.len()));

    column(format!("{} MiB", peak() >> 20));
    eprint(&notes);
    row
}

#[expect(clippy::print_stderr, reason = "what was counted, beside the table")]
fn eprint(notes: &[String]) {
    eprintln!("{}", notes.join("; "));
}

/// How many pairs of workloads may connect.
fn count_pairs(reach: &Reach<'_>) -> usize {
    let listing = Listing::new(reach.classes(), Granularity::Workload);
    (0..listing.len()).map(|client| listing.pairs(client, |class| Rc::new(reach.row(class))).len()).sum()
}

/// How many lines the difference of two sets has.
fn count_changes(inventory: &Inventory, old: &[Policy], new: &[Policy], cluster: &[ClusterPolicy]) -> usize {
    let [old, new] = [old, new].map(|network| PolicySet { network, cluster });
    let classes = Classes::new(inventory, &[old, new], Options::default());
    let diff = diff::policies(&Reach::new(&classes, old), &Reach::new(&classes, new));
    diff.gained.len() + diff.lost.len()
}

/// In how many pairs of classes no policies at all and a set of them differ.
fn from_nothing(inventory: &Inventory, set: PolicySet<'_>) -> u64 {
    let nothing = PolicySet::default();
    let classes = Classes::new(inventory, &[set], Options::default());
    let (before, after) = (Reach::new(&classes, nothing), Reach::new(&classes, set));
    let lost = (0..classes.len() as u32).map(|class| before.row(class).beyond(&after.row(class)));
    lost.map(|row| row.allowed.classes().len()).sum()
}

/// A connection and whether it is allowed.
type Flow = (PodId, PodId, u16, bool);

/// How many of so many flows are allowed, and the first tenth of them.
fn verdicts(inventory: &Inventory, reach: &Reach<'_>, count: usize) -> (usize, Vec<Flow>) {
    let pods = inventory.pods.len();
    // Pods are sorted by namespace.
    let near = 100.min(pods);
    let mut random = Random(SEED);
    let (mut allowed, mut few) = (0, Vec::with_capacity(count / 10));
    for number in 0..count {
        let client = random.below(pods);
        let server = match number % 2 {
            0 => random.below(pods),
            _ => (client / near * near + random.below(near)).min(pods - 1),
        };
        let (client, server) = (PodId(client as u32), PodId(server as u32));
        let port = LISTENING[random.below(LISTENING.len())].1;
        let decision = reach.decision(client, server, Protocol::Tcp, port) == Decision::Allowed;
        allowed += usize::from(decision);
        if number < count / 10 {
            few.push((client, server, port, decision));
        }
    }
    (allowed, few)
}

/// Asks the evaluator the same.
fn check(inventory: &Inventory, evaluator: &Evaluator<'_>, flows: &[Flow]) {
    for (client, server, port, expected) in flows {
        let [client, server] = [client, server].map(|pod| Party::pod(inventory.pod(*pod)));
        assert_eq!(evaluator.allowed(client, server, Protocol::Tcp, *port), *expected, "{client:?} {server:?} {port}");
    }
}

/// CPU time of a task; short ones are repeated until they take long enough for the clock, which ticks 100 times a second.
fn repeat(mut task: impl FnMut()) -> Duration {
    let (start, mut times) = (now(), 0);
    loop {
        task();
        times += 1;
        let taken = now() - start;
        if taken >= Duration::from_millis(500) {
            return taken / times;
        }
    }
}

/// CPU time of this process until now: `utime` and `stime` of `/proc/self/stat`, which Linux gives in 1/100 s.
fn now() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name of the program, in parentheses, may have spaces; the fields are the 14th and the 15th.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: u64 =
        fields.split_ascii_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// The highest resident memory of this process, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") << 10
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}
