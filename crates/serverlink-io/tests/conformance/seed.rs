//! The five tests that the description of the original event loop recommends, each a suite of cases.
//!
//! `docs/engine.md` goes through that description sentence by sentence. A suite is run by its name,
//! for instance `cargo nextest run -p serverlink-io seed_shutdown`.

macro_rules! seed_suites {
    () => {
        /// "Test TCP read/write operations".
        mod seed_basic_io {
            use super::BACKEND;

            cases! {
                accept:
                    accepts_connections;
                connect:
                    connect_completes,
                    half_close_leaves_the_other_direction;
                receive:
                    a_full_buffer_leaves_the_rest_for_the_next,
                    end_of_stream_adds_nothing,
                    receive_never_completes_within_the_call,
                    supplied_buffers_are_appended_to;
                send:
                    buffers_come_back_as_they_were,
                    empty_sends_end_at_once,
                    large_vectored_sends_both_ways,
                    many_small_slices_follow_a_large_one;
            }
        }

        /// "Verify graceful shutdown".
        mod seed_shutdown {
            use super::BACKEND;

            cases! {
                drive:
                    a_stopped_port_lets_go_of_packets_and_timers,
                    stop_during_work,
                    stop_wakes_a_blocked_run;
                scale:
                    stop_among_many_connections;
                waiting:
                    stop_ends_every_wait;
            }
        }

        /// "Test socket removal during active I/O".
        mod seed_cleanup {
            use super::BACKEND;

            cases! {
                retire:
                    a_retired_handle_refuses_everything,
                    drop_handle_with_operations_in_flight,
                    drop_port_with_operations_in_flight,
                    retire_closes_while_the_driver_waits,
                    retire_during_active_io,
                    retire_within_its_own_handler,
                    send_races_retire;
            }
        }

        /// "Simulate network errors (disconnect, reset, timeout)".
        mod seed_errors {
            use super::BACKEND;

            cases! {
                connect:
                    #[cfg(target_os = "linux")]
                    cancel_ends_a_pending_connect,
                    refused_connect_says_so;
                receive:
                    end_of_stream_ends_a_pending_receive,
                    peer_reset_ends_a_pending_receive;
                send:
                    send_to_a_reset_peer_fails;
                timeout:
                    #[cfg(target_os = "linux")]
                    a_peer_that_takes_nothing_times_out,
                    a_receive_that_times_out_loses_nothing;
            }
        }

        /// "Stress test with many concurrent connections".
        mod seed_load {
            use super::BACKEND;

            cases! {
                many:
                    a_firehose_starves_nobody,
                    one_that_is_always_ready_starves_nobody,
                    two_thousand_connections_echo;
                scale:
                    a_hundred_thousand_timers,
                    a_slow_reader_costs_no_memory,
                    an_accept_storm_is_weathered,
                    many_threads_share_one_port,
                    ten_thousand_connections_on_bounded_memory;
            }
        }
    };
}
