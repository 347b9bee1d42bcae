//! A build's life as a pure state machine (DESIGN decision 1): `step(state, event) -> (state, effects)`. Times come in
//! with the events; nothing here reads a clock, a file or the database.
//!
//! ```text
//! Queued ──Given──▶ Running ──Over──▶ Ended
//!    │                 │ Stop: asked, stays Running until the runner says how it ended
//!    └─Stop, Expired───┴─Lost (runner gone without a word): FAULT ──▶ Ended
//! ```
//!
//! [`State::Ended`] absorbs: a status, once terminal, never changes (`reliability.md` I2). Phases follow each other
//! without a gap, as in real records (`buildspec.md` 4.1).

use kiln_model::{BuildStatus, PhaseContext, PhaseType};
use serde::{Deserialize, Serialize};

/// Milliseconds since the epoch.
pub type Millis = i64;

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted; waits for its turn.
    Queued,
    /// Given to a runner.
    Running,
    /// Over.
    Ended,
}

/// A phase, as far as it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which.
    pub phase: PhaseType,
    /// How it ended; `None` while it runs, and for COMPLETED.
    pub status: Option<BuildStatus>,
    /// Start.
    pub start_ms: Millis,
    /// End; `None` while it runs, and for COMPLETED.
    pub end_ms: Option<Millis>,
    /// Why; SUBMITTED, QUEUED and stopped phases have none.
    pub context: Option<PhaseContext>,
}

/// A build's life so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Where it stands.
    pub state: State,
    /// IN_PROGRESS until it ended.
    pub status: BuildStatus,
    /// When it was accepted.
    pub submitted_ms: Millis,
    /// When it ended.
    pub ended_ms: Option<Millis>,
    /// Somebody asked to stop it.
    pub stop_requested: bool,
    /// Phases so far, in order.
    pub phases: Vec<Phase>,
}

/// Something that happened, with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was given to a runner.
    Given {
        /// When.
        at: Millis,
    },
    /// Its runner never began; it may have its turn again.
    NotBegun,
    /// It could not be given to a runner, and will not be.
    Refused {
        /// When.
        at: Millis,
        /// The phase that fails.
        phase: PhaseType,
        /// Whose fault: FAILED or FAULT.
        status: BuildStatus,
        /// Why.
        context: PhaseContext,
    },
    /// StopBuild.
    Stop {
        /// When.
        at: Millis,
    },
    /// It has waited too long.
    Expired {
        /// When.
        at: Millis,
    },
    /// The runner began a phase.
    PhaseStarted {
        /// When.
        at: Millis,
        /// Which.
        phase: PhaseType,
    },
    /// The runner ended a phase.
    PhaseEnded {
        /// When.
        at: Millis,
        /// Which.
        phase: PhaseType,
        /// How.
        status: BuildStatus,
        /// Why.
        context: Option<PhaseContext>,
    },
    /// The runner said how the build ended.
    Over {
        /// When.
        at: Millis,
        /// How.
        status: BuildStatus,
    },
    /// The runner is gone and did not say how the build ended.
    Lost {
        /// When.
        at: Millis,
        /// What is known, one sentence.
        reason: String,
    },
}

/// What is to be done because of an event, once the new state is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Take it out of the queue.
    Dequeue,
    /// Put it where it was in the queue.
    Requeue,
    /// Tell the runner to stop it.
    TellRunner,
    /// It is over: wake who waits for it, and consider another try.
    Announce,
}

/// An event that cannot happen in this state: a mistake of Kiln.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to a build that is {state:?}")]
pub struct Illegal {
    /// State.
    pub state: State,
    /// Event.
    pub event: Event,
}

impl Lifecycle {
    /// A build that was just accepted, waiting.
    #[must_use]
    pub fn accepted(at: Millis) -> Self {
        let phase = |phase, status, end_ms| Phase { phase, status, start_ms: at, end_ms, context: None };
        Self {
            state: State::Queued,
            status: BuildStatus::InProgress,
            submitted_ms: at,
            ended_ms: None,
            stop_requested: false,
            phases: vec![
                phase(PhaseType::Submitted, Some(BuildStatus::Succeeded), Some(at)),
                phase(PhaseType::Queued, None, None),
            ],
        }
    }

    /// The phase that runs, or COMPLETED.
    #[must_use]
    pub fn current_phase(&self) -> PhaseType {
        self.phases.last().map_or(PhaseType::Submitted, |p| p.phase)
    }

    /// The first phase that did not succeed.
    #[must_use]
    pub fn failed_phase(&self) -> Option<&Phase> {
        self.phases.iter().find(|p| p.status.is_some_and(|s| s != BuildStatus::Succeeded))
    }

    /// Makes a phase that went well the one that failed: what it left could not be stored.
    pub fn blame(&mut self, phase: PhaseType, status: BuildStatus, context: PhaseContext) {
        if let Some(phase) = self.phases.iter_mut().rev().find(|p| p.phase == phase) {
            phase.status = Some(status);
            phase.context = Some(context);
        }
    }

    /// What the event makes of the build.
    ///
    /// # Errors
    /// [`Illegal`]; the build stays as it was.
    pub fn step(&self, event: &Event) -> Result<(Self, Vec<Effect>), Illegal> {
        let mut next = self.clone();
        let illegal = || Err(Illegal { state: self.state, event: event.clone() });
        let effects = match (self.state, event) {
            // Late news of a finished build changes nothing.
            (State::Ended, Event::Given { .. }) => return illegal(),
            (State::Ended, _) => Vec::new(),

            (State::Queued, Event::Given { at }) => {
                next.state = State::Running;
                next.close(*at, BuildStatus::Succeeded, None);
                next.open(PhaseType::Provisioning, *at);
                vec![Effect::Dequeue]
            }
            (State::Queued, Event::Stop { at }) => {
                next.stop_requested = true;
                next.end(*at, BuildStatus::Stopped, None);
                vec![Effect::Dequeue, Effect::Announce]
            }
            (State::Queued, Event::Expired { at }) => {
                let message = "The build was not started within its queued time-out.";
                next.end(*at, BuildStatus::TimedOut, Some(PhaseContext::new("BUILD_TIMED_OUT", message)));
                vec![Effect::Dequeue, Effect::Announce]
            }
            (State::Queued, _) => return illegal(),

            (State::Running, Event::Given { .. } | Event::Expired { .. }) => return illegal(),
            (State::Running, Event::NotBegun) => {
                next.state = State::Queued;
                next.phases.truncate(1);
                let at = next.phases.first().and_then(|p| p.end_ms).unwrap_or(next.submitted_ms);
                next.open(PhaseType::Queued, at);
                vec![Effect::Requeue]
            }
            (State::Running, Event::Refused { at, phase, status, context }) => {
                if *phase == PhaseType::Queued {
                    // What it waited for is refused: as if it had not had its turn.
                    next.phases.retain(|known| known.phase <= PhaseType::Queued);
                    if let Some(queued) = next.phases.last_mut() {
                        queued.end_ms = None;
                    }
                } else if next.current_phase() != *phase {
                    next.close(*at, BuildStatus::Succeeded, Some(PhaseContext::default()));
                    next.open(*phase, *at);
                }
                next.end(*at, *status, Some(context.clone()));
                vec![Effect::Announce]
            }
            (State::Running, Event::Stop { .. }) => {
                next.stop_requested = true;
                vec![Effect::TellRunner]
            }
            (State::Running, Event::PhaseStarted { at, phase }) => {
                if next.current_phase() != *phase {
                    next.open(*phase, *at);
                }
                Vec::new()
            }
            (State::Running, Event::PhaseEnded { at, phase, status, context }) => {
                if next.current_phase() == *phase {
                    next.close(*at, *status, context.clone());
                }
                Vec::new()
            }
            (State::Running, Event::Over { at, status }) => {
                next.end(*at, *status, None);
                vec![Effect::Announce]
            }
            (State::Running, Event::Lost { at, reason }) => {
                // Asked to stop and gone: what was asked for has happened.
                let (status, context) = if next.stop_requested {
                    (BuildStatus::Stopped, None)
                } else {
                    (BuildStatus::Fault, Some(PhaseContext::new("INTERNAL_ERROR", reason.clone())))
                };
                next.end(*at, status, context);
                vec![Effect::Announce]
            }
        };
        Ok((next, effects))
    }

    /// Ends the running phase.
    fn close(&mut self, at: Millis, status: BuildStatus, context: Option<PhaseContext>) {
        if let Some(phase) = self.phases.last_mut().filter(|p| p.end_ms.is_none()) {
            // A wall clock may jump back; a duration is never negative (`reliability.md` I10).
            phase.end_ms = Some(at.max(phase.start_ms));
            phase.status = Some(status);
            phase.context = context;
        }
    }

    /// Begins a phase where the one before it ended.
    fn open(&mut self, phase: PhaseType, at: Millis) {
        let start_ms = match self.phases.last_mut() {
            Some(last) => *last.end_ms.get_or_insert(at.max(last.start_ms)),
            None => at,
        };
        self.phases.push(Phase { phase, status: None, start_ms, end_ms: None, context: None });
    }

    /// Ends the build; a phase that still ran ends the same way.
    fn end(&mut self, at: Millis, status: BuildStatus, context: Option<PhaseContext>) {
        match self.phases.last_mut() {
            // Between two phases: the blame has to stand somewhere.
            Some(last) if last.end_ms.is_some() && context.is_some() => {
                last.status = Some(status);
                last.context = context;
            }
            _ => self.close(at, status, context),
        }
        // Where the last phase ended, and not when the runner said so a moment later (`buildspec.md` 4.1).
        let at = self.phases.last().and_then(|p| p.end_ms).unwrap_or(at);
        self.phases.push(Phase {
            phase: PhaseType::Completed,
            status: None,
            start_ms: at,
            end_ms: None,
            context: None,
        });
        self.state = State::Ended;
        self.status = status;
        self.ended_ms = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(events: &[Event]) -> Lifecycle {
        events.iter().fold(Lifecycle::accepted(1000), |life, event| life.step(event).unwrap().0)
    }

    fn phases(life: &Lifecycle) -> Vec<(PhaseType, Option<BuildStatus>, Millis, Option<Millis>)> {
        life.phases.iter().map(|p| (p.phase, p.status, p.start_ms, p.end_ms)).collect()
    }

    #[test]
    fn a_build_that_succeeds() {
        use BuildStatus::Succeeded;
        let ended =
            |at, phase| Event::PhaseEnded { at, phase, status: Succeeded, context: Some(PhaseContext::default()) };
        let life = apply(&[
            Event::Given { at: 1010 },
            Event::PhaseStarted { at: 1012, phase: PhaseType::Provisioning },
            ended(1020, PhaseType::Provisioning),
            Event::PhaseStarted { at: 1021, phase: PhaseType::DownloadSource },
            ended(1030, PhaseType::DownloadSource),
            Event::Over { at: 1031, status: Succeeded },
        ]);
        assert_eq!(
            phases(&life),
            [
                (PhaseType::Submitted, Some(Succeeded), 1000, Some(1000)),
                (PhaseType::Queued, Some(Succeeded), 1000, Some(1010)),
                (PhaseType::Provisioning, Some(Succeeded), 1010, Some(1020)),
                // Where the one before it ended, not a millisecond later.
                (PhaseType::DownloadSource, Some(Succeeded), 1020, Some(1030)),
                (PhaseType::Completed, None, 1030, None),
            ]
        );
        assert_eq!((life.state, life.status, life.ended_ms), (State::Ended, Succeeded, Some(1030)));
        assert_eq!(life.phases[1].context, None);
    }

    #[test]
    fn a_stopped_phase_has_no_context() {
        let life = apply(&[
            Event::Given { at: 1010 },
            Event::Stop { at: 1020 },
            Event::PhaseEnded { at: 1021, phase: PhaseType::Provisioning, status: BuildStatus::Stopped, context: None },
            Event::Over { at: 1022, status: BuildStatus::Stopped },
        ]);
        assert_eq!(life.phases[2].context, None);
        assert_eq!(life.current_phase(), PhaseType::Completed);
        assert_eq!(life.status, BuildStatus::Stopped);
    }

    #[test]
    fn a_queued_build_is_stopped_or_times_out_at_once() {
        let (life, effects) = Lifecycle::accepted(5).step(&Event::Stop { at: 9 }).unwrap();
        assert_eq!((life.status, life.phases.len()), (BuildStatus::Stopped, 3));
        assert_eq!(effects, [Effect::Dequeue, Effect::Announce]);
        let life = apply(&[Event::Expired { at: 2000 }]);
        assert_eq!(life.phases[1].status, Some(BuildStatus::TimedOut));
        assert_eq!(life.status, BuildStatus::TimedOut);
    }

    #[test]
    fn a_lost_runner_is_a_fault_unless_a_stop_was_asked_for() {
        let lost = Event::Lost { at: 1500, reason: "gone".into() };
        let life = apply(&[Event::Given { at: 1010 }, lost.clone()]);
        assert_eq!(life.status, BuildStatus::Fault);
        assert_eq!(life.failed_phase().unwrap().context.as_ref().unwrap().message, "gone");
        let life = apply(&[Event::Given { at: 1010 }, Event::Stop { at: 1011 }, lost]);
        assert_eq!(life.status, BuildStatus::Stopped);
    }

    #[test]
    fn a_build_whose_runner_never_began_waits_as_before() {
        let life = apply(&[Event::Given { at: 1010 }, Event::NotBegun]);
        assert_eq!(life, Lifecycle::accepted(1000));
    }

    fn event() -> impl Strategy<Value = Event> {
        let at = 0i64..3000;
        let phase = prop_oneof![
            Just(PhaseType::Provisioning),
            Just(PhaseType::DownloadSource),
            Just(PhaseType::Build),
            Just(PhaseType::Finalizing)
        ];
        let status = prop_oneof![Just(BuildStatus::Succeeded), Just(BuildStatus::Failed), Just(BuildStatus::Stopped)];
        prop_oneof![
            at.clone().prop_map(|at| Event::Given { at }),
            Just(Event::NotBegun),
            at.clone().prop_map(|at| Event::Stop { at }),
            at.clone().prop_map(|at| Event::Expired { at }),
            (at.clone(), phase.clone()).prop_map(|(at, phase)| Event::PhaseStarted { at, phase }),
            (at.clone(), phase, status.clone()).prop_map(|(at, phase, status)| Event::PhaseEnded {
                at,
                phase,
                status,
                context: None
            }),
            (at.clone(), status).prop_map(|(at, status)| Event::Over { at, status }),
            at.prop_map(|at| Event::Lost { at, reason: "r".into() }),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: terminal is terminal, phases join, no duration is negative.
        #[test]
        fn holds_its_promises(events in prop::collection::vec(event(), 0..40)) {
            let mut life = Lifecycle::accepted(1000);
            for event in &events {
                let before = life.clone();
                match life.step(event) {
                    Ok((next, _)) => life = next,
                    Err(_) => continue,
                }
                if before.state == State::Ended {
                    prop_assert_eq!(&before, &life);
                }
                for pair in life.phases.windows(2) {
                    let end = pair[0].end_ms.expect("only the last phase runs");
                    prop_assert!(end >= pair[0].start_ms);
                    prop_assert!(pair[1].start_ms >= end);
                }
                prop_assert_eq!(life.state == State::Ended, life.status.is_terminal());
                prop_assert_eq!(life.state == State::Ended, life.current_phase() == PhaseType::Completed);
            }
        }
    }
}
