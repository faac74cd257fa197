//! Every interleaving of a writer and a reader, and every order of memory that the orderings allow.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink --lib model`. A lost wake-up
//! shows as a deadlock, a message lost, freed twice or never as a count that is wrong at the end, a
//! slot that both sides touch as an error of loom's.

use loom::{
    model::Builder,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::*;

/// A message that loom counts as long as it lives.
#[derive(Default)]
struct Counted {
    number: usize,
    _life: Option<Arc<()>>,
}

/// Somebody waits for something to be told once.
#[derive(Default)]
struct Bell {
    rung: Mutex<usize>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while *rung == 0 {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung -= 1;
    }
}

/// What the two sides tell each other by.
#[derive(Clone, Default)]
struct Bells {
    readable: Arc<Bell>,
    writable: Arc<Bell>,
}

struct Writer {
    producer: Producer<Counted>,
    bells: Bells,
    life: Arc<()>,
}

struct Reader {
    consumer: Consumer<Counted>,
    bells: Bells,
}

impl Writer {
    fn message(&self, number: usize) -> Counted {
        Counted { number, _life: Some(self.life.clone()) }
    }

    /// Pushes, waiting for room; false if the reader has gone.
    fn push(&mut self, number: usize) -> bool {
        let mut message = self.message(number);
        loop {
            match self.producer.push(&mut message) {
                Ok(asleep) => {
                    if asleep {
                        self.bells.readable.ring();
                    }
                    return true;
                }
                Err(Refused::Full) => self.bells.writable.wait(),
                Err(Refused::Gone) => return false,
            }
        }
    }
}

impl Reader {
    /// Reads the next message, waiting for it.
    fn read(&mut self) -> usize {
        while !self.consumer.fetch() {
            self.bells.readable.wait();
        }
        let message = self.consumer.pop().unwrap();
        if self.consumer.is_batch_over() && self.consumer.release() {
            self.bells.writable.ring();
        }
        message.number
    }
}

fn pair(limit: usize) -> (Writer, Reader) {
    let (producer, consumer) = channel(limit);
    let bells = Bells::default();
    (Writer { producer, bells: bells.clone(), life: Arc::new(()) }, Reader { consumer, bells })
}

fn model(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(test);
}

/// All arrive in order, through several blocks, though both sides wait for each other whenever they
/// have to.
fn stream(limit: usize, count: usize, preemptions: usize) {
    model(preemptions, move || {
        let (mut writer, mut reader) = pair(limit);
        let writing = thread::spawn(move || {
            for number in 0..count {
                assert!(writer.push(number));
            }
        });
        for number in 0..count {
            assert_eq!(reader.read(), number);
        }
        writing.join().unwrap();
    });
}

#[test]
fn one_at_a_time() {
    stream(1, 4, 3);
}

#[test]
fn two_at_a_time() {
    stream(2, 5, 3);
}

#[test]
fn as_many_as_there_are() {
    stream(usize::MAX, 4, 3);
}

#[test]
fn a_batch_is_published_as_a_whole() {
    model(3, || {
        let (mut writer, mut reader) = pair(usize::MAX);
        let writing = thread::spawn(move || {
            for batch in [0..2, 2..5] {
                for number in batch {
                    let message = writer.message(number);
                    writer.producer.write(message);
                }
                if writer.producer.publish() {
                    writer.bells.readable.ring();
                }
            }
        });
        assert_eq!([(); 5].map(|()| reader.read()), [0, 1, 2, 3, 4]);
        writing.join().unwrap();
    });
}

#[test]
fn blocks_go_round() {
    model(2, || {
        let (mut writer, mut reader) = pair(2);
        // Some have been used already.
        for number in 0..4 {
            writer.push(number);
            reader.read();
        }
        let writing = thread::spawn(move || {
            for number in 4..8 {
                writer.push(number);
            }
        });
        for number in 4..8 {
            assert_eq!(reader.read(), number);
        }
        writing.join().unwrap();
    });
}

/// As when a socket is closed after it has sent something.
#[test]
fn what_was_written_is_read_after_the_writer_left() {
    model(3, || {
        let (mut writer, mut reader) = pair(usize::MAX);
        let closed = Arc::new(Mutex::new(false));
        let writing = thread::spawn({
            let closed = closed.clone();
            move || {
                writer.push(0);
                let message = writer.message(1);
                writer.producer.write(message);
                let bells = writer.bells.clone();
                drop(writer);
                *closed.lock().unwrap() = true;
                bells.readable.ring();
            }
        });
        let mut read = 0;
        loop {
            let closed = *closed.lock().unwrap();
            if reader.consumer.fetch() {
                assert_eq!(reader.read(), read);
                read += 1;
            } else if closed {
                break;
            } else {
                reader.bells.readable.wait();
            }
        }
        assert_eq!(read, 2);
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_may_leave_at_any_moment() {
    for limit in [1, usize::MAX] {
        model(3, move || {
            let (mut writer, mut reader) = pair(limit);
            let writing = thread::spawn(move || (0..3).take_while(|&i| writer.push(i)).count());
            reader.read();
            let Reader { consumer, bells } = reader;
            drop(consumer);
            // A writer that waits is told, too.
            bells.writable.ring();
            assert!(writing.join().unwrap() >= 1);
        });
    }
}

#[test]
fn both_may_leave_at_once() {
    model(3, || {
        let (mut writer, reader) = pair(usize::MAX);
        let writing = thread::spawn(move || {
            writer.push(0);
            writer.push(1);
        });
        drop(reader);
        writing.join().unwrap();
    });
}

/// The reader sees how much was written by a writer that found no room.
#[test]
fn nobody_is_told_before_half_is_used_up() {
    model(3, || {
        let (mut writer, mut reader) = pair(2);
        writer.push(0);
        let writing = thread::spawn(move || {
            for number in 1..3 {
                let message = writer.message(number);
                writer.producer.push_urgent(message);
            }
            writer.producer.room()
        });
        assert!(reader.consumer.fetch());
        reader.consumer.pop().unwrap();
        let told = reader.consumer.release();
        writing.join().unwrap();
        assert!(!told, "two are left");
    });
}

/// Either side raises the limit while the writer looks for room: it goes on, though nothing is read.
#[test]
fn a_raised_limit_lets_a_writer_go_on() {
    for readers in [false, true] {
        model(3, move || {
            let (mut writer, mut reader) = pair(1);
            let bells = writer.bells.clone();
            let writer_raises = !readers;
            let writing = thread::spawn(move || {
                assert!(writer.push(0));
                if writer_raises {
                    let mut message = writer.message(1);
                    assert_eq!(writer.producer.push(&mut message), Err(Refused::Full));
                    assert!(writer.producer.allow(1));
                }
                assert!(writer.push(1));
            });
            if readers && reader.consumer.allow(2) {
                bells.writable.ring();
            }
            writing.join().unwrap();
            assert_eq!([reader.read(), reader.read()], [0, 1]);
        });
    }
}

/// Both sides change the limit at once, and the writer waits for either.
#[test]
fn parts_of_the_limit_changed_at_once_add_up() {
    model(3, || {
        let (mut writer, mut reader) = pair(1);
        assert!(writer.push(0));
        let writing = thread::spawn(move || {
            writer.producer.allow(1);
            assert!(writer.push(1));
            assert!(writer.push(2));
        });
        if reader.consumer.allow(2) {
            reader.bells.writable.ring();
        }
        writing.join().unwrap();
        assert_eq!([(); 3].map(|()| reader.read()), [0, 1, 2]);
    });
}

/// A lowered limit neither loses what is queued nor leaves the writer waiting.
#[test]
fn a_lowered_limit_holds_the_writer_up_until_enough_is_read() {
    model(3, || {
        let (mut writer, mut reader) = pair(2);
        let writing = thread::spawn(move || (0..4).for_each(|number| assert!(writer.push(number))));
        assert_eq!(reader.read(), 0);
        if reader.consumer.allow(1) {
            reader.bells.writable.ring();
        }
        assert_eq!([(); 3].map(|()| reader.read()), [1, 2, 3]);
        writing.join().unwrap();
    });
}

/// The reader is told at most once each time that it would fall asleep, and so a writer need not tell of
/// what it writes meanwhile.
#[test]
fn only_a_sleeper_is_told() {
    model(3, || {
        let (mut writer, mut reader) = pair(usize::MAX);
        let told = thread::spawn(move || {
            let tell = |number| {
                let message = writer.message(number);
                usize::from(writer.producer.push_urgent(message))
            };
            (0..3).map(tell).sum::<usize>()
        });
        // Asleep from the start.
        let mut slept = 1;
        let mut read = 0;
        for _ in 0..4 {
            let writer = &reader.consumer.shared.writer;
            let published = writer.published.load(Ordering::Acquire);
            if reader.consumer.queued(published) > 0 {
                assert!(reader.consumer.fetch());
                reader.consumer.pop().unwrap();
                reader.consumer.release();
                read += 1;
            } else if !writer.asleep.load(Ordering::Relaxed) {
                slept += 1;
                reader.consumer.fall_asleep();
            }
        }
        let told = told.join().unwrap();
        assert!(told <= slept, "told {told} times, slept {slept} times");
        while reader.consumer.fetch() {
            reader.consumer.pop().unwrap();
            reader.consumer.release();
            read += 1;
        }
        assert_eq!(read, 3);
    });
}
