//! One set of cases that every backend passes.
//!
//! Each case is a function that takes the backend's name; the list below makes
//! a test of it in a module per backend, so that a test is called, for
//! instance, `epoll::cancel_races_completion`. A case that is missing in the
//! list is dead code, which the lints refuse.

// Raw descriptors and limits of the process can be had in no other way.
#![allow(unsafe_code)]

mod accept;
mod cancel;
mod connect;
mod drive;
mod many;
mod probe;
mod receive;
mod retire;
mod rig;
mod send;
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
        })+

        /// The backends for which there are tests.
        const COVERED: &[&str] = &[$($(#[$attribute])* stringify!($backend)),+];
    };
}

macro_rules! every_case {
    () => {
        cases! {
            accept:
                accepts_connections,
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
                a_connect_under_way_is_awaited,
                #[cfg(target_os = "linux")]
                cancel_ends_a_pending_connect,
                connect_completes,
                half_close_leaves_the_other_direction,
                refused_connect_says_so;
            drive:
                a_burst_of_wakes_is_one,
                a_handler_that_panics_leaves_the_port_usable,
                a_second_driver_is_busy,
                a_wake_before_the_turn_is_kept,
                packets_arrive_in_order,
                run_takes_over_when_the_driver_leaves,
                run_within_a_handler_is_refused,
                stop_during_work,
                a_stopped_port_lets_go_of_packets_and_timers,
                stop_wakes_a_blocked_run,
                wake_from_another_thread_ends_the_turn;
            many:
                a_firehose_starves_nobody,
                one_that_is_always_ready_starves_nobody,
                two_thousand_connections_echo;
            probe:
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
                a_full_buffer_leaves_the_rest_for_the_next,
                a_second_receive_is_refused,
                end_of_stream_adds_nothing,
                peer_reset_ends_a_pending_receive,
                receive_never_completes_within_the_call,
                supplied_buffers_are_appended_to;
            retire:
                a_retired_handle_refuses_everything,
                drop_handle_with_operations_in_flight,
                drop_port_with_operations_in_flight,
                retire_closes_while_the_driver_waits,
                retire_during_active_io,
                retire_within_its_own_handler,
                send_races_retire;
            send:
                a_second_send_is_refused,
                buffers_come_back_as_they_were,
                empty_sends_end_at_once,
                large_vectored_sends_both_ways,
                many_small_slices_follow_a_large_one,
                send_to_a_reset_peer_fails;
            timer:
                a_nearer_timer_of_another_thread_shortens_the_wait,
                cancelled_timers_never_fire,
                timers_are_as_late_as_the_grain_says,
                timers_are_ordered_and_never_early,
                timers_due_at_once_starve_nobody;
            waiting:
                a_lazy_packet_reaches_a_driver_that_waits,
                a_lazy_packet_waits_for_a_driver,
                a_wait_ends_at_its_deadline,
                a_waiter_handles_its_own_event,
                many_waiters_hear_each_their_own,
                stop_ends_every_wait,
                the_background_gives_way_to_an_eager_waiter,
                the_background_takes_over_when_waiters_have_left,
                waiting_within_a_handler_is_refused;
        }
    };
}

backends! {
    #[cfg(target_os = "linux")]
    epoll,
    #[cfg(windows)]
    iocp,
    select,
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
