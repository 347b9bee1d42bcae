//! Work in parallel, results in order: jobs go to worker threads, one sink takes their results in the order in which
//! the jobs were given. At most `depth` jobs are under way, so memory stays flat however fast they come. A job passes
//! three threads and wakes each: what is small is given many at a time.

use std::{
    num::NonZeroUsize,
    panic,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

type Job<J, O> = (J, SyncSender<O>);

/// The sink has ended early; [`Pipeline::finish`] tells why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// A running pipeline. Dropped without [`Pipeline::finish`], it ends once what was given is done.
#[derive(Debug)]
pub(crate) struct Pipeline<J, O, S, E> {
    jobs: Option<SyncSender<Job<J, O>>>,
    results: Option<SyncSender<Receiver<O>>>,
    workers: Vec<JoinHandle<()>>,
    sink: Option<JoinHandle<Result<S, E>>>,
}

impl<J, O, S, E> Pipeline<J, O, S, E>
where
    J: Send + 'static,
    O: Send + 'static,
    S: Send + 'static,
    E: Send + 'static,
{
    /// Starts `threads` workers, each with a function of its own that `worker` makes, and the sink.
    pub(crate) fn start<W>(
        threads: NonZeroUsize,
        depth: NonZeroUsize,
        mut worker: impl FnMut() -> W,
        mut state: S,
        mut sink: impl FnMut(&mut S, O) -> Result<(), E> + Send + 'static,
    ) -> Self
    where
        W: FnMut(J) -> O + Send + 'static,
    {
        let (jobs, next_job) = sync_channel::<Job<J, O>>(depth.get());
        let (results, next_result) = sync_channel::<Receiver<O>>(depth.get());
        let next_job = Arc::new(Mutex::new(next_job));
        let workers = (0..threads.get())
            .map(|_| {
                let next_job = Arc::clone(&next_job);
                let mut work = worker();
                thread::spawn(move || {
                    loop {
                        // The lock is held only while waiting for a job, and waiting cannot panic.
                        let job = next_job.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((job, done)) = job else { return };
                        if done.send(work(job)).is_err() {
                            return; // the sink has stopped
                        }
                    }
                })
            })
            .collect();
        let sink = thread::spawn(move || {
            while let Ok(result) = next_result.recv() {
                // An error: its worker panicked, and `finish` passes the panic on.
                let Ok(output) = result.recv() else { break };
                sink(&mut state, output)?;
            }
            Ok(state)
        });
        Self { jobs: Some(jobs), results: Some(results), workers, sink: Some(sink) }
    }

    /// Gives a job, waiting while `depth` of them are under way.
    pub(crate) fn job(&self, job: J) -> Result<(), Stopped> {
        let (Some(jobs), Some(results)) = (&self.jobs, &self.results) else { return Err(Stopped) };
        let (done, result) = sync_channel(1);
        // First its place in the order, so that no more results than `depth` wait to be taken.
        results.send(result).map_err(|_| Stopped)?;
        jobs.send((job, done)).map_err(|_| Stopped)
    }

    /// Waits until everything given is done, and returns what the sink made or its error. `None` when it was called
    /// before.
    ///
    /// Panics with a worker's or the sink's own panic.
    pub(crate) fn finish(&mut self) -> Option<Result<S, E>> {
        self.jobs = None;
        self.results = None;
        let sink = self.sink.take()?;
        let made = sink.join();
        for worker in self.workers.drain(..) {
            if let Err(payload) = worker.join() {
                panic::resume_unwind(payload);
            }
        }
        match made {
            Ok(made) => Some(made),
            Err(payload) => panic::resume_unwind(payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> NonZeroUsize {
        NonZeroUsize::new(2).unwrap()
    }

    #[test]
    fn results_keep_the_order_of_the_jobs() {
        let mut p = Pipeline::start(
            NonZeroUsize::new(4).unwrap(),
            NonZeroUsize::new(8).unwrap(),
            || |n: u64| (0..(n % 7) * 1000).fold(n, |a, _| std::hint::black_box(a)),
            Vec::new(),
            |out: &mut Vec<u64>, n| -> Result<(), ()> {
                out.push(n);
                Ok(())
            },
        );
        for n in 0..1000 {
            p.job(n).unwrap();
        }
        assert_eq!(p.finish().unwrap().unwrap(), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_of_the_sink_stops_the_giver() {
        let mut p = Pipeline::start(two(), two(), || |n: u64| n, (), |(), n| if n >= 10 { Err(n) } else { Ok(()) });
        let stopped = (0..10_000).find(|&n| p.job(n).is_err());
        assert!(stopped.is_some());
        assert_eq!(p.finish().unwrap(), Err(10));
    }

    #[test]
    #[should_panic(expected = "worker fell over")]
    fn a_worker_that_panics_is_not_hidden() {
        let mut p = Pipeline::start(
            two(),
            two(),
            || |n: u64| assert!(n != 5, "worker fell over"),
            (),
            |(), ()| -> Result<(), ()> { Ok(()) },
        );
        for n in 0..100 {
            if p.job(n).is_err() {
                break;
            }
        }
        p.finish();
    }
}
