//! Which build starts next: a pure data structure (DESIGN decision 15). Times are arguments.
//!
//! Within a project the oldest build is first. Between projects the one with the fewest running builds is first, then the
//! one that waits longest. CPU is a weight and never reserved; memory reserves what the compute type promises, and a
//! build that is larger than the machine counts as the whole machine.
//!
//! A build that does not fit may be overtaken by smaller ones of other projects, but only [`MAX_OVERTAKEN`] times: then
//! nothing starts until it fits, or a stream of small builds would keep a large one waiting for ever.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

/// How many builds may start before one that came earlier and does not fit.
pub const MAX_OVERTAKEN: u32 = 100;

/// What the machine offers to builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Memory that may be promised to builds at the same time, bytes.
    pub memory_bytes: u64,
    /// Builds that may run at the same time.
    pub builds: u32,
}

/// A build that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The build's uuid.
    pub uuid: String,
    /// Its project.
    pub project: String,
    /// Memory that its compute type promises, bytes.
    pub memory_bytes: u64,
    /// Monotonic time at which it has waited too long.
    pub deadline: Duration,
}

/// Why a build waits, for the person who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Builds that came earlier and wait as well.
    pub ahead: usize,
    /// One sentence, e.g. `waiting for 4 GiB of memory (1 GiB of 16 GiB is free); 2 builds ahead`.
    pub text: String,
}

#[derive(Debug)]
struct Entry {
    build: Waiting,
    overtaken: u32,
}

#[derive(Debug, Clone)]
struct Running {
    project: String,
    memory_bytes: u64,
}

/// The queue and what runs.
#[derive(Debug)]
pub struct Queue {
    capacity: Capacity,
    /// By order of acceptance.
    waiting: BTreeMap<u64, Entry>,
    /// Orders of each project's builds, oldest first.
    projects: HashMap<String, VecDeque<u64>>,
    orders: HashMap<String, u64>,
    running: HashMap<String, Running>,
    running_of: HashMap<String, u32>,
    next_order: u64,
    memory_used: u64,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self {
            capacity: Capacity { memory_bytes: capacity.memory_bytes, builds: capacity.builds.max(1) },
            waiting: BTreeMap::new(),
            projects: HashMap::new(),
            orders: HashMap::new(),
            running: HashMap::new(),
            running_of: HashMap::new(),
            next_order: 0,
            memory_used: 0,
        }
    }

    /// What the machine offers.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Memory that running builds hold, bytes.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory_used
    }

    /// How many builds wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many builds run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// How many builds of a project wait or run (`concurrentBuildLimit` counts both).
    #[must_use]
    pub fn active_of(&self, project: &str) -> usize {
        let running = self.running_of.get(project).copied().unwrap_or(0) as usize;
        running + self.projects.get(project).map_or(0, VecDeque::len)
    }

    fn reserved(&self, memory_bytes: u64) -> u64 {
        memory_bytes.min(self.capacity.memory_bytes)
    }

    /// Adds a build behind all others. One that is known already stays where it is.
    pub fn push(&mut self, build: Waiting) {
        if self.orders.contains_key(&build.uuid) || self.running.contains_key(&build.uuid) {
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        self.orders.insert(build.uuid.clone(), order);
        self.projects.entry(build.project.clone()).or_default().push_back(order);
        self.waiting.insert(order, Entry { build, overtaken: 0 });
    }

    /// Counts a build as running that was started by an earlier server.
    pub fn adopt(&mut self, uuid: &str, project: &str, memory_bytes: u64) {
        self.take_waiting(uuid);
        self.run(uuid, project, memory_bytes);
    }

    fn run(&mut self, uuid: &str, project: &str, memory_bytes: u64) {
        let memory_bytes = self.reserved(memory_bytes);
        let running = Running { project: project.to_owned(), memory_bytes };
        if self.running.insert(uuid.to_owned(), running).is_none() {
            self.memory_used += memory_bytes;
            *self.running_of.entry(project.to_owned()).or_default() += 1;
        }
    }

    fn take_waiting(&mut self, uuid: &str) -> Option<Waiting> {
        let order = self.orders.remove(uuid)?;
        let entry = self.waiting.remove(&order)?;
        if let Some(orders) = self.projects.get_mut(&entry.build.project) {
            if orders.front() == Some(&order) {
                orders.pop_front();
            } else {
                orders.retain(|o| *o != order);
            }
            if orders.is_empty() {
                self.projects.remove(&entry.build.project);
            }
        }
        Some(entry.build)
    }

    /// Takes a build out: it ended, was stopped, or is refused. True when it was known.
    pub fn remove(&mut self, uuid: &str) -> bool {
        if let Some(running) = self.running.remove(uuid) {
            self.memory_used -= running.memory_bytes;
            if let Some(count) = self.running_of.get_mut(&running.project) {
                *count -= 1;
                if *count == 0 {
                    self.running_of.remove(&running.project);
                }
            }
            return true;
        }
        self.take_waiting(uuid).is_some()
    }

    /// Puts a build that could not be started back to where it was: before all that came later.
    pub fn put_back(&mut self, build: Waiting) {
        self.remove(&build.uuid);
        // Orders begin in the middle of nowhere: the first of a project is the oldest of it anyway.
        let first = self.waiting.first_key_value().map_or(self.next_order, |(order, _)| *order);
        let order = match first.checked_sub(1) {
            Some(order) => order,
            None => {
                self.renumber();
                0
            }
        };
        self.next_order = self.next_order.max(order + 1);
        self.orders.insert(build.uuid.clone(), order);
        self.projects.entry(build.project.clone()).or_default().push_front(order);
        self.waiting.insert(order, Entry { build, overtaken: 0 });
    }

    /// Makes room before the first order.
    fn renumber(&mut self) {
        const ROOM: u64 = 1 << 20;
        self.waiting = std::mem::take(&mut self.waiting).into_iter().map(|(o, e)| (o + ROOM, e)).collect();
        self.orders.values_mut().for_each(|order| *order += ROOM);
        self.projects.values_mut().flatten().for_each(|order| *order += ROOM);
        self.next_order += ROOM;
    }

    /// Takes the build that starts now, if one may: it counts as running from here on.
    pub fn take_next(&mut self) -> Option<Waiting> {
        if self.running.len() >= self.capacity.builds as usize {
            return None;
        }
        let free = self.capacity.memory_bytes.saturating_sub(self.memory_used);
        let fits = |entry: &Entry| self.reserved(entry.build.memory_bytes) <= free;
        let (&oldest, first) = self.waiting.first_key_value()?;
        let first_fits = fits(first);
        if first.overtaken >= MAX_OVERTAKEN && !first_fits {
            return None;
        }
        let heads = self.projects.iter().filter_map(|(project, orders)| {
            let order = *orders.front()?;
            fits(self.waiting.get(&order)?).then(|| (self.running_of.get(project).copied().unwrap_or(0), order))
        });
        let (_, chosen) = heads.min()?;
        if !first_fits && let Some(entry) = self.waiting.get_mut(&oldest) {
            entry.overtaken += 1;
        }
        let uuid = self.waiting.get(&chosen)?.build.uuid.clone();
        let build = self.take_waiting(&uuid)?;
        self.run(&build.uuid, &build.project, build.memory_bytes);
        Some(build)
    }

    /// Takes out the builds that have waited too long at `now` (monotonic).
    pub fn expire(&mut self, now: Duration) -> Vec<Waiting> {
        let late: Vec<String> =
            self.waiting.values().filter(|e| e.build.deadline <= now).map(|e| e.build.uuid.clone()).collect();
        late.iter().filter_map(|uuid| self.take_waiting(uuid)).collect()
    }

    /// When the next build will have waited too long.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.waiting.values().map(|e| e.build.deadline).min()
    }

    /// The waiting builds, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values().map(|entry| &entry.build)
    }

    /// Why a build waits; `None` when it does not.
    #[must_use]
    pub fn reason(&self, uuid: &str) -> Option<Reason> {
        let order = self.orders.get(uuid)?;
        let entry = self.waiting.get(order)?;
        let ahead = self.waiting.range(..order).count();
        let wanted = self.reserved(entry.build.memory_bytes);
        let free = self.capacity.memory_bytes.saturating_sub(self.memory_used);
        let what = if self.running.len() >= self.capacity.builds as usize {
            format!("waiting for a place: {} of {} builds run", self.running.len(), self.capacity.builds)
        } else if wanted > free {
            let (wanted, free, all) = (size(wanted), size(free), size(self.capacity.memory_bytes));
            format!("waiting for {wanted} of memory ({free} of {all} is free)")
        } else {
            "about to start".to_owned()
        };
        let text = match ahead {
            0 => what,
            1 => format!("{what}; 1 build ahead"),
            n => format!("{what}; {n} builds ahead"),
        };
        Some(Reason { ahead, text })
    }
}

/// Bytes for people: `4 GiB`, `512 MiB`.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes >= 1024 * MIB {
        let tenths = bytes * 10 / (1024 * MIB);
        if tenths.is_multiple_of(10) {
            format!("{} GiB", tenths / 10)
        } else {
            format!("{}.{} GiB", tenths / 10, tenths % 10)
        }
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn build(uuid: &str, project: &str, gib: u64) -> Waiting {
        Waiting {
            uuid: uuid.to_owned(),
            project: project.to_owned(),
            memory_bytes: gib * GIB,
            deadline: Duration::from_secs(60),
        }
    }

    fn queue(gib: u64, builds: u32) -> Queue {
        Queue::new(Capacity { memory_bytes: gib * GIB, builds })
    }

    fn take(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.take_next().map(|b| b.uuid)).collect()
    }

    #[test]
    fn oldest_first_within_a_project_and_in_turn_between_projects() {
        let mut q = queue(100, 4);
        for (uuid, project) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")] {
            q.push(build(uuid, project, 4));
        }
        assert_eq!(take(&mut q), ["a1", "b1", "c1", "a2"]);
        assert!(q.remove("b1"));
        assert_eq!(take(&mut q), ["b2"]);
    }

    #[test]
    fn memory_is_reserved_and_a_reason_is_given() {
        let mut q = queue(10, 100);
        for n in 0..5 {
            q.push(build(&format!("b{n}"), "p", 4));
        }
        assert_eq!(take(&mut q), ["b0", "b1"]);
        assert_eq!(q.memory_used(), 8 * GIB);
        assert_eq!(
            q.reason("b4").unwrap().text,
            "waiting for 4 GiB of memory (2 GiB of 10 GiB is free); 2 builds ahead"
        );
        assert_eq!(q.reason("b2").unwrap().text, "waiting for 4 GiB of memory (2 GiB of 10 GiB is free)");
        assert_eq!(q.reason("b0"), None);
        assert_eq!(q.active_of("p"), 5);
    }

    #[test]
    fn places_are_limited_too() {
        let mut q = queue(100, 1);
        q.push(build("a", "p", 4));
        q.push(build("b", "p", 4));
        assert_eq!(take(&mut q), ["a"]);
        assert_eq!(q.reason("b").unwrap().text, "waiting for a place: 1 of 1 builds run");
    }

    #[test]
    fn a_build_larger_than_the_machine_has_it_for_itself() {
        let mut q = queue(10, 100);
        q.push(build("small", "p", 4));
        q.push(build("huge", "q", 144));
        assert_eq!(take(&mut q), ["small"]);
        q.remove("small");
        assert_eq!(take(&mut q), ["huge"]);
        assert_eq!(q.memory_used(), 10 * GIB);
    }

    #[test]
    fn a_large_build_is_overtaken_only_so_often() {
        let mut q = queue(10, 100);
        q.push(build("first", "small", 4));
        assert_eq!(take(&mut q), ["first"]);
        q.push(build("large", "large", 8));
        let mut started = 0;
        for n in 0..1000 {
            q.push(build(&format!("s{n}"), "small", 4));
            let Some(next) = q.take_next() else { break };
            assert_ne!(next.uuid, "large");
            started += 1;
            q.remove(&next.uuid);
        }
        assert_eq!(started, MAX_OVERTAKEN);
        q.remove("first");
        assert_eq!(q.take_next().unwrap().uuid, "large");
    }

    #[test]
    fn what_waited_too_long_is_taken_out() {
        let mut q = queue(1, 1);
        let late = Waiting { deadline: Duration::from_secs(5), ..build("late", "p", 1) };
        q.push(late.clone());
        q.push(build("early", "p", 1));
        assert_eq!(q.next_deadline(), Some(Duration::from_secs(5)));
        assert_eq!(q.expire(Duration::from_secs(4)), []);
        assert_eq!(q.expire(Duration::from_secs(5)), [late]);
        assert_eq!(take(&mut q), ["early"]);
    }

    #[test]
    fn a_build_that_could_not_start_is_first_again() {
        let mut q = queue(4, 1);
        q.push(build("a", "p", 4));
        q.push(build("b", "p", 4));
        let a = q.take_next().unwrap();
        q.put_back(a.clone());
        assert_eq!(q.take_next(), Some(a));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8, u64),
        Next,
        Remove(usize),
        PutBack,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..4, 1u64..20).prop_map(|(p, m)| Step::Push(p, m)),
            Just(Step::Next),
            (0usize..30).prop_map(Step::Remove),
            Just(Step::PutBack),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Never more promised than there is, nobody lost, first in first out within a project.
        #[test]
        fn holds_its_promises(steps in steps()) {
            let mut q = queue(16, 5);
            let mut known: Vec<String> = Vec::new();
            let mut last: HashMap<String, u32> = HashMap::new();
            let mut number = 0u32;
            for step in steps {
                match step {
                    Step::Push(project, gib) => {
                        let uuid = format!("{number:05}");
                        number += 1;
                        q.push(build(&uuid, &format!("p{project}"), gib));
                        known.push(uuid);
                    }
                    Step::Next => {
                        if let Some(b) = q.take_next() {
                            let n: u32 = b.uuid.parse().unwrap();
                            let before = last.insert(b.project.clone(), n);
                            prop_assert!(before.is_none_or(|l| l < n), "{} after {before:?}", b.uuid);
                        }
                    }
                    Step::Remove(at) => {
                        if let Some(uuid) = known.get(at).cloned() {
                            prop_assert!(q.remove(&uuid));
                            known.retain(|k| *k != uuid);
                        }
                    }
                    Step::PutBack => {
                        if let Some(b) = q.take_next() {
                            q.put_back(b);
                        }
                    }
                }
                prop_assert!(q.memory_used() <= 16 * GIB);
                prop_assert!(q.running() <= 5);
                prop_assert_eq!(q.running() + q.waiting(), known.len());
            }
            // Whatever happened, it drains.
            while !known.is_empty() {
                let running: Vec<String> = q.running.keys().cloned().collect();
                for uuid in running {
                    q.remove(&uuid);
                    known.retain(|k| *k != uuid);
                }
                while q.take_next().is_some() {}
                prop_assert!(known.is_empty() || q.running() > 0);
            }
        }
    }
}
