//! The state machine itself, `directory::lockout::Streak`, against what the requirements say in words.

use std::collections::BTreeSet;

use locum::directory::Life;
use locum::directory::lockout::{AttemptId, Counted, Reset, Streak};
use proptest::prelude::*;

use crate::world::attempt;

#[derive(Debug, Clone)]
enum Step {
    Fail(u64, u16),
    Succeed(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..3_u64, 0..12_u16).prop_map(|(life, number)| Step::Fail(life, number)),
        1 => (1..3_u64).prop_map(Step::Succeed),
    ]
}

fn ids(streak: &Streak) -> BTreeSet<AttemptId> {
    streak.attempts.iter().map(|attempt| attempt.id).collect()
}

proptest! {
    /// L1: the failure that trips is the one that makes `threshold` different ones in a row, in the
    /// same life, without a success in between. Told from the whole past, with no state kept.
    #[test]
    fn the_trip_is_the_fifth_in_a_row(steps in prop::collection::vec(step(), 0..60), threshold in 1..7_u32) {
        let mut streak = Streak::new(Life::FIRST);
        let mut past = Vec::new();
        let mut newest = 1;
        let mut tripped_lives = BTreeSet::new();
        for step in steps {
            let life = match step { Step::Fail(life, _) | Step::Succeed(life) => life };
            let stale = life < newest;
            newest = newest.max(life);
            past.push(step.clone());
            // what was done in this life since its last success
            let in_life: Vec<_> = past.iter().filter(|step| matches!(step,
                Step::Fail(of, _) | Step::Succeed(of) if *of == life)).collect();
            let last_success = in_life.iter().rposition(|step| matches!(step, Step::Succeed(_)));
            let row: BTreeSet<_> = in_life[last_success.map_or(0, |at| at + 1)..].iter()
                .filter_map(|step| match step { Step::Fail(_, number) => Some(*number), Step::Succeed(_) => None })
                .collect();
            match step {
                Step::Fail(_, number) => match streak.fail(Life(life), threshold, attempt(number)) {
                    Counted::Stale => prop_assert!(stale),
                    Counted::Locked => prop_assert!(tripped_lives.contains(&life)),
                    Counted::Tripped(attempts) => {
                        prop_assert_eq!(attempts.len(), threshold as usize);
                        prop_assert_eq!(row.len(), threshold as usize);
                        prop_assert!(tripped_lives.insert(life), "tripped twice in one life");
                    }
                    Counted::Counted(count) | Counted::Repeated(count) => {
                        prop_assert!(!tripped_lives.contains(&life));
                        prop_assert_eq!(count as usize, row.len());
                        prop_assert!(count < threshold);
                    }
                },
                Step::Succeed(_) => match streak.succeed(Life(life)) {
                    Reset::Stale => prop_assert!(stale),
                    Reset::Locked => {
                        prop_assert!(tripped_lives.contains(&life));
                        past.pop();
                    }
                    Reset::Cleared => prop_assert_eq!(streak.count(), 0),
                },
            }
        }
    }

    /// L7, decision 22: however the attempts of one row were spread over two places, and however often
    /// the places are joined, the outcome is that of one place.
    #[test]
    fn two_halves_come_to_what_one_place_would(
        row in prop::collection::vec((0..12_u16, any::<bool>(), any::<bool>()), 0..10),
        again in any::<bool>(),
    ) {
        let beyond = u32::MAX;
        let (mut here, mut there, mut one) = (Streak::new(Life::FIRST), Streak::new(Life::FIRST), Streak::new(Life::FIRST));
        for (number, in_here, in_there) in row {
            if in_here || in_there {
                one.fail(Life::FIRST, beyond, attempt(number));
            }
            if in_here {
                here.fail(Life::FIRST, beyond, attempt(number));
            }
            if in_there {
                there.fail(Life::FIRST, beyond, attempt(number));
            }
        }
        let mut joined = here.clone();
        let first = joined.join(&there, 5);
        prop_assert_eq!(joined.count(), one.count().min(joined.count()));
        if one.count() < 5 {
            prop_assert_eq!(ids(&joined), ids(&one));
            prop_assert!(matches!(first, Counted::Counted(_) | Counted::Repeated(_)));
        } else if here.count() < 5 {
            prop_assert!(matches!(first, Counted::Tripped(_)), "{:?}", first);
            prop_assert!(ids(&joined).is_subset(&ids(&one)));
        }
        if again {
            let before = joined.clone();
            let second = joined.join(&there, 5);
            prop_assert!(!matches!(second, Counted::Tripped(_)));
            prop_assert_eq!(joined, before);
        }
    }

    /// L2: joining never makes a tripped streak open again, nor an open one forget.
    #[test]
    fn joining_only_adds(
        mine in prop::collection::btree_set(0..9_u16, 0..5),
        theirs in prop::collection::btree_set(0..9_u16, 0..5),
        tripped in any::<bool>(),
        lives in (1..3_u64, 1..3_u64),
    ) {
        let of = |numbers: &BTreeSet<u16>, life| Streak {
            life: Life(life),
            attempts: numbers.iter().copied().map(attempt).collect(),
            tripped_at: None,
        };
        let mut mine = of(&mine, lives.0);
        mine.tripped_at = tripped.then(|| attempt(1).at);
        let before = mine.clone();
        mine.join(&of(&theirs, lives.1), 5);
        prop_assert!(mine.life >= before.life);
        if mine.life == before.life {
            prop_assert!(ids(&mine).is_superset(&ids(&before)));
            prop_assert!(before.tripped_at.is_none() || mine.tripped_at.is_some());
        }
    }
}
