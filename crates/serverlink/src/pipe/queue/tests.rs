//! The queue on one thread against a simple model, and on two threads for a while.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{sync::clock, *};

/// A message that is counted as long as it lives.
#[derive(Debug, Default)]
struct Counted {
    number: usize,
    _life: Option<Arc<()>>,
}

fn push<T: From<usize> + Default>(
    producer: &mut Producer<T>,
    number: usize,
) -> Result<bool, Refused> {
    producer.push(&mut T::from(number))
}

/// Reads one message, and releases the batch when it is over; tells whether the writer may go on.
fn read<T>(consumer: &mut Consumer<T>) -> Option<(T, bool)> {
    if !consumer.fetch() {
        return None;
    }
    let message = consumer.pop()?;
    Some((message, consumer.is_batch_over() && consumer.release()))
}

#[test]
fn exactly_the_limit_fits() {
    for limit in 1..40 {
        let (mut producer, _consumer) = channel::<usize>(limit);
        for i in 0..limit {
            assert_eq!(push(&mut producer, i), Ok(i == 0), "only a sleeper is told");
        }
        assert_eq!(push(&mut producer, 0), Err(Refused::Full));
        assert!(!producer.push_urgent(0), "no limit holds it back");
    }
}

#[test]
fn what_is_read_is_not_dropped_again_with_the_queue() {
    for count in 1..20 {
        for unread in 0..count {
            let (mut producer, mut consumer) = channel(100);
            let life = Arc::new(());
            for number in 0..count {
                let mut message = Counted { number, _life: Some(life.clone()) };
                assert!(producer.push(&mut message).is_ok());
            }
            let read: Vec<_> = (unread..count)
                .map(|_| {
                    assert!(consumer.fetch());
                    consumer.pop().expect("it was fetched")
                })
                .collect();
            // None of the batches was released.
            drop(consumer);
            drop(producer);
            assert_eq!(Arc::strong_count(&life), 1 + read.len());
            assert!(read.iter().map(|message| message.number).eq(0..read.len()));
        }
    }
}

#[test]
fn what_is_read_makes_room_at_once_when_the_batch_is_over() {
    let (mut producer, mut consumer) = channel::<usize>(4);
    for _ in 0..10 {
        assert_eq!((0..5).filter(|&i| push(&mut producer, i).is_ok()).count(), 4);
        assert_eq!((0..5).filter(|_| read(&mut consumer).is_some()).count(), 4);
    }
}

#[test]
fn a_blocked_writer_is_told_once_when_half_is_used_up() {
    for limit in 1..40 {
        let (mut producer, mut consumer) = channel::<usize>(limit);
        while push(&mut producer, 0).is_ok() {}
        let mut told = Vec::new();
        for count in 1.. {
            let Some((_, resume)) = read(&mut consumer) else { break };
            if resume {
                assert!(producer.room() > 0);
                told.push(count);
            }
        }
        assert_eq!(told, [limit.div_ceil(2)], "limit {limit}");
    }
}

#[test]
fn a_blocked_writer_is_told_with_nearly_half_unread_wherever_the_batch_ended() {
    for limit in 2..if cfg!(miri) { 12 } else { 200 } {
        for first in 1..limit {
            let (mut producer, mut consumer) = channel::<usize>(limit);
            (0..first).for_each(|i| assert!(push(&mut producer, i).is_ok()));
            assert!(read(&mut consumer).is_some(), "a batch begins");
            let mut queued = first - 1;
            while push(&mut producer, 0).is_ok() {
                queued += 1;
            }
            loop {
                let (_, resume) = read(&mut consumer).expect("told before the end");
                queued -= 1;
                if resume {
                    break;
                }
            }
            let least = limit / 2 - limit.div_ceil(2).div_ceil(8);
            assert!(queued >= least.saturating_sub(1), "{queued} of {limit} after {first}");
        }
    }
}

#[test]
fn another_limit_counts_at_once() {
    let (mut producer, mut consumer) = channel::<usize>(1);
    assert!(push(&mut producer, 0).is_ok());
    assert_eq!(push(&mut producer, 1), Err(Refused::Full));
    assert!(consumer.allow(3), "it was blocked");
    assert!(push(&mut producer, 1).is_ok());
    assert_eq!(producer.room(), 1);
    assert!(!producer.allow(2), "it was not");
    assert_eq!(producer.room(), 3, "both parts count");
    assert!(!consumer.allow(0));
    assert_eq!(push(&mut producer, 2), Err(Refused::Full));
    assert!(!consumer.allow(0), "there is no room yet");
    assert!(producer.allow(usize::MAX));
    assert_eq!(producer.room(), usize::MAX - 2);
    assert!((2..1000).all(|i| push(&mut producer, i).is_ok()));
    assert!((0..1000).all(|i| read(&mut consumer).is_some_and(|(number, _)| number == i)));
}

#[test]
fn a_flow_begins_when_the_reader_stays_awake_and_ends_when_it_sleeps() {
    let (mut producer, mut consumer) = channel::<usize>(usize::MAX);
    for round in 0..3 {
        assert_eq!(push(&mut producer, 0), Ok(true), "round {round}");
        let mut flows_from = None;
        for count in 1..=3 * ROW {
            assert_eq!(push(&mut producer, 0), Ok(false));
            // One is left, so that the reader stays awake.
            assert!(read(&mut consumer).is_some());
            let flows = producer.shared.writer.published.load(Ordering::Relaxed) & FLOWING != 0;
            if flows {
                flows_from.get_or_insert(count);
            }
            assert_eq!(flows, flows_from.is_some(), "it does not end meanwhile");
        }
        assert_eq!(flows_from, barrier::is_available().then_some(ROW));
        assert_eq!(consumer.counts(), producer.counts(), "the mark counts for nothing");
        assert!(read(&mut consumer).is_some());
        assert!(read(&mut consumer).is_none());
    }
}

#[test]
fn rare_messages_are_no_flow() {
    let (mut producer, mut consumer) = channel::<usize>(usize::MAX);
    assert_eq!(push(&mut producer, 0), Ok(true));
    let mut flows_after = |rows: u32, time: u32| {
        for count in 1..=rows * ROW {
            if count % HALF_A_ROW == 0 {
                clock::pass(time);
            }
            assert_eq!(push(&mut producer, 0), Ok(false));
            assert!(read(&mut consumer).is_some());
        }
        producer.shared.writer.published.load(Ordering::Relaxed) & FLOWING != 0
    };
    assert!(!flows_after(5, BRISK_MS));
    assert_eq!(flows_after(1, BRISK_MS - 1), barrier::is_available());
    assert_eq!(flows_after(1, BRISK_MS), barrier::is_available(), "the reader is awake");
}

#[test]
fn what_was_written_is_read_after_the_writer_left() {
    let (mut producer, mut consumer) = channel::<usize>(usize::MAX);
    for i in 0..300 {
        producer.write(i);
    }
    assert!(!consumer.fetch(), "not published");
    drop(producer);
    assert!((0..300).all(|i| read(&mut consumer).is_some_and(|(number, _)| number == i)));
    assert!(read(&mut consumer).is_none());
}

#[test]
fn an_abandoned_queue_refuses_and_leaves_the_message_whole() {
    let (mut producer, consumer) = channel::<usize>(2);
    push(&mut producer, 1).unwrap();
    drop(consumer);
    let mut refused = 7;
    assert_eq!(producer.push(&mut refused), Err(Refused::Gone));
    assert_eq!(refused, 7);
    assert!(!producer.push_urgent(8));
}

#[test]
fn an_idle_queue_has_no_blocks_and_a_busy_one_no_new_ones() {
    let (mut producer, mut consumer) = channel::<usize>(1000);
    assert!(producer.place.block.is_null() && consumer.place.block.is_null());
    let mut blocks = HashSet::new();
    for depth in [1, 300] {
        for _ in 0..if cfg!(miri) { 3 } else { 100 } {
            for i in 0..depth {
                push(&mut producer, i).unwrap();
                blocks.insert(producer.place.block);
            }
            while read(&mut consumer).is_some() {}
        }
        assert!(blocks.len() < 20, "{} blocks", blocks.len());
    }
}

#[test]
fn a_queue_that_was_long_keeps_little() {
    let (mut producer, mut consumer) = channel::<usize>(usize::MAX);
    let many = if cfg!(miri) { 2_000 } else { 100_000 };
    (0..many).for_each(|i| _ = push(&mut producer, i));
    while read(&mut consumer).is_some() {}
    let spare = consumer.shared.reader.spare.swap(ptr::null_mut(), Ordering::Relaxed);
    let mut blocks = HashSet::from([spare]);
    let mut last = spare;
    while blocks.len() < 100 && !last.is_null() {
        // SAFETY: nobody else looks at them now.
        last = unsafe { Block::take_next(last) };
        blocks.insert(last);
    }
    assert_eq!(blocks.len(), SPARE + 1, "and none after the last");
    // SAFETY: as above.
    blocks.into_iter().for_each(|block| unsafe { Block::free(block) });
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Urgent,
    Write(usize),
    Publish,
    Read(usize),
    /// What the writer allows, or what the reader does.
    Limit(usize, usize),
    Room,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..200usize).prop_map(Step::Push),
        1 => Just(Step::Urgent),
        2 => (1..50usize).prop_map(Step::Write),
        2 => Just(Step::Publish),
        5 => (1..200usize).prop_map(Step::Read),
        1 => (0..2usize, prop_oneof![1..300usize, Just(usize::MAX)])
            .prop_map(|(side, limit)| Step::Limit(side, limit)),
        1 => Just(Step::Room),
    ]
}

/// What the queue should be like.
struct Model {
    queue: VecDeque<usize>,
    next: usize,
    allowed: [usize; 2],
    limit: usize,
    unpublished: usize,
    /// Of the batch: how many are left, and how many were read.
    batch: usize,
    unreleased: usize,
    asleep: bool,
    blocked: bool,
}

impl Model {
    fn room(&mut self) -> usize {
        let room = self.limit.saturating_sub(self.queue.len() + self.unreleased);
        self.blocked |= room == 0;
        room
    }

    fn allow(&mut self, side: usize, limit: usize) -> bool {
        self.allowed[side] = limit;
        self.limit = self.allowed[0].saturating_add(self.allowed[1]);
        let published = self.queue.len() - self.unpublished + self.unreleased;
        published < self.limit && mem::take(&mut self.blocked)
    }

    fn write(&mut self) -> usize {
        self.queue.push_back(self.next);
        self.unpublished += 1;
        self.next += 1;
        self.next - 1
    }

    fn publish(&mut self) -> bool {
        mem::take(&mut self.unpublished) > 0 && mem::take(&mut self.asleep)
    }

    fn read(&mut self) -> Option<(usize, bool)> {
        if self.batch == 0 {
            let published = self.queue.len() - self.unpublished;
            let most = self.limit.div_ceil(2);
            let beyond = published.saturating_sub(self.limit / 2);
            self.batch = match beyond {
                0 => published,
                _ => beyond.max(most.div_ceil(8)).min(most),
            };
            self.asleep |= published == 0;
        }
        self.batch = self.batch.checked_sub(1)?;
        self.unreleased += 1;
        let number = self.queue.pop_front()?;
        let mut resume = false;
        if self.batch == 0 {
            self.unreleased = 0;
            let left = self.queue.len() - self.unpublished;
            resume = left <= self.limit / 2 && mem::take(&mut self.blocked);
        }
        Some((number, resume))
    }
}

fn follows_the_model(steps: Vec<Step>, limit: usize, writer_first: bool) {
    let life = Arc::new(());
    let counted = |number| Counted { number, _life: Some(life.clone()) };
    let (mut producer, mut consumer) = channel(limit);
    let mut model = Model {
        queue: VecDeque::new(),
        next: 0,
        allowed: [0, limit],
        limit,
        unpublished: 0,
        batch: 0,
        unreleased: 0,
        asleep: true,
        blocked: false,
    };
    for step in steps {
        match step {
            Step::Push(count) => {
                for _ in 0..count {
                    let mut message = counted(model.next);
                    let pushed = producer.push(&mut message);
                    if model.room() == 0 {
                        assert_eq!(pushed, Err(Refused::Full));
                        assert_eq!(message.number, model.next, "left whole");
                    } else {
                        model.write();
                        assert_eq!(pushed, Ok(model.publish()));
                    }
                }
            }
            Step::Urgent => {
                let message = counted(model.write());
                assert_eq!(producer.push_urgent(message), model.publish());
            }
            Step::Write(count) => {
                model.room();
                for _ in 0..count.min(producer.room()) {
                    producer.write(counted(model.write()));
                }
            }
            Step::Publish => assert_eq!(producer.publish(), model.publish()),
            Step::Read(count) => {
                for _ in 0..count {
                    let message =
                        read(&mut consumer).map(|(message, resume)| (message.number, resume));
                    assert_eq!(message, model.read());
                }
            }
            Step::Limit(side, limit) => {
                let told =
                    if side == WRITERS { producer.allow(limit) } else { consumer.allow(limit) };
                assert_eq!(told, model.allow(side, limit));
            }
            Step::Room => {
                // What the writer has seen; more may be known by now.
                let (least, most) = (producer.room(), model.room());
                assert!(least <= most && (least > 0) == (most > 0), "{least} of {most}");
            }
        }
        assert_eq!(Arc::strong_count(&life) - 1, model.queue.len(), "all others are dropped");
    }
    if writer_first {
        drop(producer);
        assert_eq!(Arc::strong_count(&life) - 1, model.queue.len());
        drop(consumer);
    } else {
        let unpublished = model.unpublished;
        drop(consumer);
        assert_eq!(Arc::strong_count(&life) - 1, unpublished);
        drop(producer);
    }
    assert_eq!(Arc::strong_count(&life), 1, "nothing is left");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 200 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_is_a_queue(
        steps in prop::collection::vec(step(), 1..60),
        limit in prop_oneof![1..300usize, Just(usize::MAX)],
        writer_first: bool,
    ) {
        follows_the_model(steps, limit, writer_first);
    }
}

/// Both sides at full speed, each waiting only when it is told to; ends if and only if no telling
/// is lost.
#[test]
fn two_threads_lose_nothing_and_wake_each_other() {
    let count = if cfg!(miri) { 500 } else { 200_000 };
    for limit in [1, 2, 7, 1000, usize::MAX] {
        let count = if limit < 10 { count / 20 } else { count };
        let life = Arc::new(());
        let (mut producer, mut consumer) = channel(limit);
        let (tell_reader, readable) = mpsc::channel();
        let (tell_writer, writable) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn({
                let life = life.clone();
                move || {
                    for number in 0..count {
                        let mut message = Counted { number, _life: Some(life.clone()) };
                        loop {
                            match producer.push(&mut message) {
                                Ok(false) => break,
                                Ok(true) => break tell_reader.send(()).unwrap(),
                                Err(Refused::Full) => writable.recv().unwrap(),
                                Err(Refused::Gone) => panic!("the reader is there"),
                            }
                        }
                    }
                }
            });
            for number in 0..count {
                let (message, resume) = loop {
                    match read(&mut consumer) {
                        Some(read) => break read,
                        None => readable.recv().unwrap(),
                    }
                };
                assert_eq!(message.number, number);
                if resume {
                    // The writer may have found room by itself, and left.
                    let _ = tell_writer.send(());
                }
            }
        });
        drop(consumer);
        assert_eq!(Arc::strong_count(&life), 1);
    }
}

/// The reader may fall asleep just as the last message of a flow is published, without a barrier.
#[test]
fn the_end_of_a_flow_wakes_the_reader() {
    const PATIENCE: Duration = Duration::from_secs(20);
    /// Where other programs want the processors a round may take several of their time slices.
    const LONG_ENOUGH: Duration = Duration::from_secs(15);
    let rounds = if cfg!(miri) { 3 } else { 50_000 };
    let begun = Instant::now();
    let count = |round: u32| ROW + round % 8;
    let (mut producer, mut consumer) = channel::<usize>(usize::MAX);
    let (told, read_rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..rounds {
                for _ in 0..count(round) {
                    if push(&mut producer, 0).unwrap() {
                        told.store(true, Ordering::Release);
                    }
                }
                while read_rounds.load(Ordering::Acquire) <= round {
                    thread::yield_now();
                }
                if read_rounds.load(Ordering::Acquire) == rounds {
                    break;
                }
            }
        });
        for round in 0..rounds {
            if round > 1000 && begun.elapsed() > LONG_ENOUGH {
                read_rounds.store(rounds, Ordering::Release);
                break;
            }
            let mut left = count(round);
            while left > 0 {
                if read(&mut consumer).is_some() {
                    left -= 1;
                    continue;
                }
                let since = Instant::now();
                while !told.swap(false, Ordering::Acquire) {
                    hint::spin_loop();
                    let waited = since.elapsed();
                    // The other thread may have no processor.
                    if waited > Duration::from_micros(50) {
                        thread::yield_now();
                    }
                    if waited > PATIENCE {
                        read_rounds.store(rounds, Ordering::Release);
                        panic!("asleep with {left} messages to come in round {round}");
                    }
                }
            }
            read_rounds.store(round + 1, Ordering::Release);
        }
    });
}

#[test]
fn a_reader_may_leave_at_any_moment() {
    for round in 0..if cfg!(miri) { 3 } else { 100 } {
        let life = Arc::new(());
        let (mut producer, mut consumer) = channel(usize::MAX);
        thread::scope(|scope| {
            scope.spawn({
                let life = life.clone();
                move || {
                    for number in 0.. {
                        let mut message = Counted { number, _life: Some(life.clone()) };
                        match producer.push(&mut message) {
                            Ok(_) => {}
                            Err(refused) => return assert_eq!(refused, Refused::Gone),
                        }
                    }
                }
            });
            while consumer.read < round * ONE {
                if read(&mut consumer).is_none() {
                    thread::yield_now();
                }
            }
            drop(consumer);
        });
        assert_eq!(Arc::strong_count(&life), 1);
    }
}

#[test]
fn what_is_looked_at_stays() {
    let (mut producer, mut consumer) = channel::<usize>(usize::MAX);
    assert_eq!(consumer.peek(), None);
    // Over the ends of several blocks.
    for i in 0..1000 {
        push(&mut producer, i).unwrap();
        if i % 3 == 0 {
            push(&mut producer, i).unwrap();
            assert!(consumer.fetch());
            for _ in 0..2 {
                assert_eq!(consumer.peek(), Some(&i));
            }
            assert_eq!(read(&mut consumer).unwrap().0, i);
        }
        assert!(consumer.fetch());
        assert_eq!(consumer.peek(), Some(&i));
        assert_eq!(read(&mut consumer).unwrap().0, i);
        assert_eq!(consumer.peek(), None);
    }
}
