//! One set of cases that every backend passes.
//!
//! Each case is a function that takes the backend's name; the list below makes
//! a test of it in a module per backend, so that a test is called, for
//! instance, `epoll::cancel_races_completion`. What the original event loop's
//! description recommends to test are suites of their own (`seed.rs`), and
//! modules within: `epoll::seed_shutdown::stop_during_work`. A case that is
//! missing in the lists is dead code, which the lints refuse.

#![allow(
    unsafe_code,
    reason = "raw descriptors and limits of the process can be had in no other way"
)]

mod accept;
mod cancel;
mod connect;
mod crowd;
mod drive;
mod heap;
mod many;
mod memory;
mod pausing;
#[cfg(windows)]
mod pipes;
mod probe;
mod receive;
mod retire;
mod rig;
mod scale;
#[macro_use]
mod seed;
mod send;
mod statistics;
mod timeout;
mod timer;
mod waiting;

macro_rules! cases {
    ($($module:ident: $($(#[$attribute:meta])* $case:ident),+ $(,)?;)+) => {
        $($(
            $(#[$attribute])*
            #[test]
            fn $case() {
                crate::$module::$case(BACKEND);
            }
        )+)+
    };
}

macro_rules! backends {
    ($($(#[$attribute:meta])* $backend:ident),+ $(,)?) => {
        $($(#[$attribute])* mod $backend {
            const BACKEND: &str = stringify!($backend);

            every_case!();
            seed_suites!();
        })+

        /// The backends for which there are tests.
        const COVERED: &[&str] = &[$($(#[$attribute])* stringify!($backend)),+];
    };
}

macro_rules! every_case {
    () => {
        cases! {
            accept:
                #[cfg(unix)]
                accept_survives_exhaustion_of_descriptors;
            cancel:
                cancel_ends_a_pending_accept,
                cancel_ends_a_pending_receive,
                cancel_ends_a_pending_send,
                cancel_of_nothing_does_nothing,
                cancel_races_completion;
            connect:
                #[cfg(target_os = "linux")]
                a_connect_under_way_is_awaited;
            drive:
                a_burst_of_wakes_is_one,
                a_handler_that_panics_leaves_the_port_usable,
                a_second_driver_is_busy,
                a_wake_before_the_turn_is_kept,
                operations_outlive_the_thread_that_drove,
                packets_arrive_in_order,
                run_takes_over_when_the_driver_leaves,
                run_within_a_handler_is_refused,
                wake_from_another_thread_ends_the_turn;
            memory:
                a_port_takes_little_of_the_heap;
            pausing:
                a_pause_ends_when_it_is_hastened,
                a_port_that_pauses_can_be_stopped,
                a_waiter_need_not_wait_for_the_end_of_a_pause,
                no_pause_goes_beyond_a_timer,
                nothing_is_held_back_from_who_is_in_a_hurry,
                timers_and_packets_end_a_pause,
                what_is_not_said_to_be_unhurried_is_followed_at_once,
                who_looks_again_and_again_need_not_wait;
            probe:
                a_look_tells_what_is_the_case,
                a_probe_of_both_directions_is_one_operation,
                a_probe_sees_what_is_the_case_already,
                a_probe_waits_until_readable,
                a_probe_waits_until_writable,
                only_probes_work_on_watched_descriptors,
                retiring_leaves_a_watched_descriptor_open,
                #[cfg(unix)]
                pipes_and_files;
            receive:
                a_buffer_given_back_is_used_again,
                a_second_receive_is_refused,
                many_receive_at_once;
            retire:
                a_connection_that_nobody_accepts_any_more_is_closed,
                // The completion port lets go when it is dropped: somebody has to take the packets.
                #[cfg(unix)]
                retiring_after_a_stop_lets_go;
            send:
                a_second_send_is_refused,
                a_send_outlives_the_thread_that_began_it;
            statistics:
                failures_cancellations_and_ends_are_counted,
                operations_and_bytes_are_counted,
                timers_packets_and_wakes_are_counted;
            timer:
                a_nearer_timer_of_another_thread_shortens_the_wait,
                cancelled_timers_never_fire,
                timers_are_as_late_as_the_grain_says,
                timers_are_ordered_and_never_early,
                timers_due_at_once_starve_nobody;
            waiting:
                a_background_that_stays_awake_hears_everything,
                a_lazy_packet_reaches_a_driver_that_waits,
                a_lazy_packet_waits_for_a_driver,
                a_wait_ends_at_its_deadline,
                a_waiter_handles_its_own_event,
                a_waiter_that_stays_awake_handles_its_own_event,
                many_waiters_hear_each_their_own,
                the_background_gives_way_to_an_eager_waiter,
                the_background_takes_over_when_waiters_have_left,
                waiting_within_a_handler_is_refused,
                who_may_stay_awake_turns_once_more;
        }
    };
}

backends! {
    #[cfg(target_os = "linux")]
    epoll,
    #[cfg(windows)]
    iocp,
    #[cfg(all(
        target_pointer_width = "64",
        any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd")
    ))]
    kqueue,
    select,
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    uring,
    #[cfg(all(target_os = "linux", feature = "kqueue-model"))]
    kqueue,
    #[cfg(all(target_os = "linux", feature = "kqueue-model"))]
    kqueue_with_pipe,
}

/// On named pipes, which only the port of the kernel's own takes.
#[cfg(windows)]
mod named_pipes {
    const BACKEND: &str = "iocp";

    cases! {
        pipes:
            a_cancelled_accept_keeps_the_name,
            a_client_that_left_is_accepted_with_what_it_wrote,
            a_connect_that_waits_can_be_cancelled,
            a_full_pipe_takes_the_rest_when_there_is_room,
            a_listener_that_goes_refuses_those_who_wait,
            a_name_is_one_listeners,
            a_pipe_stays_on_its_listeners_port,
            a_receive_outlives_the_thread_that_began_it,
            a_second_operation_is_refused,
            cancel_ends_a_pending_receive_and_a_pending_send,
            connections_carry_data_both_ways,
            drop_port_with_operations_in_flight,
            idle_pipes_hear_all_the_same,
            many_connections_echo,
            more_come_at_once_than_are_accepted,
            nobody_listens_says_so,
            retiring_closes_and_says_nothing,
            send_to_a_closed_peer_fails,
            small_slices_keep_their_order_among_large_ones,
            what_pipes_lack_is_refused,
            what_was_sent_outlives_its_sender;
    }
}

#[test]
fn every_backend_is_covered() {
    assert_eq!(serverlink_io::backends(), COVERED);
}

#[test]
fn an_unknown_backend_is_refused_with_the_valid_names() {
    let mut options = serverlink_io::PortOptions::default();
    options.backend = Some("carrier-pigeon".to_owned());
    let error = serverlink_io::Port::new(&options).expect_err("there is no such backend");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.contains("carrier-pigeon"), "{text}");
    for name in serverlink_io::backends() {
        assert!(text.contains(name), "{text}");
    }
}
