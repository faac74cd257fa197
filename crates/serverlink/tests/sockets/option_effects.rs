//! Which tests show what each option does, and that nothing is left out.

use std::{fs, path::PathBuf};

use serverlink::{OptionInfo, OptionTime, context_options, message_options, socket_options};

/// An option by its constant, and tests as `FILE: NAME`. A name without a file is in the file before
/// it; a file without a folder is one of `tests/sockets`, and `src` is the crate's.
type Effects = &'static [(&'static str, &'static [&'static str])];

pub(crate) const OF_SOCKETS: Effects = &[
    (
        "ZMQ_AFFINITY",
        &[
            "context_options.rs: io_threads_serve_whom_their_affinity_names",
            "an_affinity_holds_for_what_is_bound_and_connected_later",
            "connection_options.rs: io_threads_serve_whom_they_are_told_to",
        ],
    ),
    (
        "ZMQ_ROUTING_ID",
        &[
            "router.rs: peers_are_known_by_the_ids_they_gave_themselves",
            "later_options.rs: the_name_and_the_properties_told",
        ],
    ),
    (
        "ZMQ_SUBSCRIBE",
        &[
            "publish.rs: a_topic_is_a_prefix_of_the_first_frame",
            "option_table.rs: orders_by_number_are_carried_out",
        ],
    ),
    (
        "ZMQ_UNSUBSCRIBE",
        &[
            "publish.rs: an_empty_topic_is_everything",
            "option_table.rs: orders_by_number_are_carried_out",
        ],
    ),
    (
        "ZMQ_SNDBUF",
        &[
            "kernel_options.rs: buffers_have_the_sizes_asked_for",
            "ipc/peers.rs: buffer_sizes_are_those_of_every_connection",
            "src/transport/tune.rs: buffers_have_the_sizes_asked_for",
        ],
    ),
    (
        "ZMQ_RCVBUF",
        &[
            "kernel_options.rs: buffers_have_the_sizes_asked_for",
            "src/transport/tune.rs: buffers_have_the_sizes_asked_for",
        ],
    ),
    ("ZMQ_RCVMORE", &["options.rs: no_frames_follow_what_is_received_as_a_whole"]),
    (
        "ZMQ_FD",
        &[
            "change_descriptor.rs: the_descriptor_is_told_by_number",
            "it_is_readable_from_a_change_until_somebody_looks",
        ],
    ),
    ("ZMQ_EVENTS", &["change_descriptor.rs: events_are_told_by_number"]),
    ("ZMQ_TYPE", &["options.rs: a_socket_tells_of_its_type_what_libzmq_does"]),
    (
        "ZMQ_LINGER",
        &[
            "linger.rs: without_end_everything_is_delivered",
            "zero_drops_what_is_not_sent",
            "a_finite_time_is_waited_and_not_longer",
        ],
    ),
    (
        "ZMQ_RECONNECT_IVL",
        &[
            "reconnect.rs: the_interval_between_attempts_is_kept",
            "a_connection_told_not_to_come_back_does_not",
            "later_options.rs: when_connections_are_not_made_anew",
        ],
    ),
    (
        "ZMQ_BACKLOG",
        &[
            "src/transport/tune.rs: so_many_connections_wait_to_be_accepted",
            "later_options.rs: how_many_may_wait_to_be_accepted",
        ],
    ),
    (
        "ZMQ_RECONNECT_IVL_MAX",
        &[
            "reconnect.rs: the_interval_doubles_up_to_its_maximum",
            "the_interval_does_not_exceed_its_maximum",
        ],
    ),
    (
        "ZMQ_MAXMSGSIZE",
        &[
            "options.rs: a_frame_over_the_limit_ends_the_connection",
            "later_options.rs: the_largest_frame_taken",
        ],
    ),
    (
        "ZMQ_SNDHWM",
        &[
            "high_water.rs: an_absent_peer_is_owed_exactly_the_mark",
            "a_link_within_the_process_holds_both_marks",
            "marks_changed.rs: a_sender_that_waits_goes_on_when_either_mark_is_raised",
        ],
    ),
    (
        "ZMQ_RCVHWM",
        &[
            "high_water.rs: a_link_within_the_process_holds_both_marks",
            "a_slow_reader_bounds_what_its_peer_may_send",
            "marks_changed.rs: a_connection_reads_on_when_the_receive_mark_is_raised",
        ],
    ),
    ("ZMQ_MULTICAST_HOPS", &["src/transport/udp.rs: what_the_options_say_is_told_to_the_system"]),
    ("ZMQ_RCVTIMEO", &["timeouts.rs: receiving_waits_as_long_as_it_is_told"]),
    ("ZMQ_SNDTIMEO", &["timeouts.rs: sending_waits_as_long_as_it_is_told"]),
    ("ZMQ_IPV4ONLY", &["connection_options.rs: an_option_of_old_is_the_opposite_of_another"]),
    (
        "ZMQ_LAST_ENDPOINT",
        &["endpoints.rs: a_port_left_open_is_filled_in", "a_socket_may_have_many_endpoints"],
    ),
    ("ZMQ_ROUTER_MANDATORY", &["router.rs: messages_to_nobody_are_dropped_or_refused"]),
    (
        "ZMQ_TCP_KEEPALIVE",
        &[
            "kernel_options.rs: silent_connections_are_looked_after_as_told",
            "src/transport/tune.rs: tcp_looks_after_silent_connections_as_it_is_told",
        ],
    ),
    (
        "ZMQ_TCP_KEEPALIVE_CNT",
        &[
            "kernel_options.rs: silent_connections_are_looked_after_as_told",
            "src/transport/tune.rs: tcp_looks_after_silent_connections_as_it_is_told",
        ],
    ),
    (
        "ZMQ_TCP_KEEPALIVE_IDLE",
        &[
            "kernel_options.rs: silent_connections_are_looked_after_as_told",
            "src/transport/tune.rs: tcp_looks_after_silent_connections_as_it_is_told",
        ],
    ),
    (
        "ZMQ_TCP_KEEPALIVE_INTVL",
        &[
            "kernel_options.rs: silent_connections_are_looked_after_as_told",
            "src/transport/tune.rs: tcp_looks_after_silent_connections_as_it_is_told",
        ],
    ),
    (
        "ZMQ_TCP_ACCEPT_FILTER",
        &[
            "connection_options.rs: peers_may_connect_from_where_they_are_told_to",
            "who_is_turned_away_does_not_harm_the_others",
        ],
    ),
    (
        "ZMQ_IMMEDIATE",
        &[
            "reconnect.rs: an_immediate_socket_sends_only_to_who_is_there",
            "an_immediate_socket_prefers_who_is_there",
            "who_was_connected_to_before_has_messages_wait",
            "an_immediate_peer_stays_one",
        ],
    ),
    (
        "ZMQ_ROUTER_RAW",
        &[
            "stream.rs: a_router_may_do_the_same",
            "a_raw_router_that_connects_sends_nothing_but_bytes",
            "what_a_router_speaks_holds_for_endpoints_bound_later",
        ],
    ),
    (
        "ZMQ_XPUB_VERBOSE",
        &[
            "publish.rs: a_verbose_xpub_hears_every_subscriber",
            "verbosity.rs: the_one_set_last_counts",
        ],
    ),
    (
        "ZMQ_IPV6",
        &[
            "endpoints.rs: ipv6_addresses_work",
            "interfaces.rs: an_interface_has_an_ipv6_address_where_that_is_wanted",
            "later_options.rs: whether_connections_come_by_ipv6",
        ],
    ),
    (
        "ZMQ_MECHANISM",
        &[
            "options.rs: a_socket_tells_of_its_type_what_libzmq_does",
            "plain.rs: the_option_set_last_decides_which_mechanism_it_is",
            "curve.rs: the_option_set_last_decides_which_mechanism_it_is",
        ],
    ),
    (
        "ZMQ_CURVE_SERVER",
        &["curve.rs: messages_pass_whoever_connects", "nobody_gets_in_by_a_lesser_mechanism"],
    ),
    ("ZMQ_CURVE_PUBLICKEY", &["curve.rs: the_handler_judges_by_the_key"]),
    ("ZMQ_CURVE_SECRETKEY", &["curve.rs: messages_pass_whoever_connects"]),
    ("ZMQ_CURVE_SERVERKEY", &["curve.rs: a_client_with_another_servers_key_is_not_let_in"]),
    (
        "ZMQ_PLAIN_SERVER",
        &[
            "plain.rs: whoever_connects_the_server_has_the_login_judged",
            "without_a_handler_nobody_is_let_in",
        ],
    ),
    ("ZMQ_PLAIN_USERNAME", &["plain.rs: whoever_connects_the_server_has_the_login_judged"]),
    ("ZMQ_PLAIN_PASSWORD", &["plain.rs: a_wrong_password_is_told_to_both_sides"]),
    (
        "ZMQ_ZAP_DOMAIN",
        &[
            "zap.rs: the_handler_is_asked_and_what_it_tells_is_told_of_every_message",
            "without_a_domain_nobody_is_asked",
        ],
    ),
    (
        "ZMQ_ZAP_ENFORCE_DOMAIN",
        &[
            "zap.rs: without_a_handler_the_option_decides",
            "curve.rs: without_a_handler_the_options_decide",
            "a_handler_is_asked_without_a_domain_unless_one_is_enforced",
        ],
    ),
    ("ZMQ_PROBE_ROUTER", &["router.rs: a_probe_announces_the_prober"]),
    (
        "ZMQ_REQ_CORRELATE",
        &["request.rs: a_relaxed_request_may_be_repeated", "replies_that_are_none_are_dropped"],
    ),
    ("ZMQ_REQ_RELAXED", &["request.rs: a_relaxed_request_may_be_repeated"]),
    (
        "ZMQ_CONFLATE",
        &[
            "connection_options.rs: only_the_last_message_waits_to_be_received",
            "only_the_last_message_waits_to_be_sent",
            "later_options.rs: whether_only_the_last_message_waits",
            "whether_only_the_last_message_waits_to_be_received",
        ],
    ),
    (
        "ZMQ_ROUTER_HANDOVER",
        &[
            "router.rs: handover_gives_the_id_to_the_newcomer",
            "router.rs: handover_leaves_connections_be_that_are_made_anew",
        ],
    ),
    (
        "ZMQ_TOS",
        &[
            "kernel_options.rs: packets_have_the_type_of_service_and_the_priority_asked_for",
            "src/transport/tune.rs: packets_have_the_type_of_service_asked_for",
        ],
    ),
    (
        "ZMQ_IPC_FILTER_PID",
        &["ipc/peers.rs: a_filter_says_who_may_come", "a_filter_holds_for_endpoints_bound_later"],
    ),
    (
        "ZMQ_IPC_FILTER_UID",
        &["ipc/peers.rs: a_filter_says_who_may_come", "a_filter_holds_for_endpoints_bound_later"],
    ),
    (
        "ZMQ_IPC_FILTER_GID",
        &["ipc/peers.rs: a_filter_says_who_may_come", "a_filter_holds_for_endpoints_bound_later"],
    ),
    (
        "ZMQ_CONNECT_ROUTING_ID",
        &[
            "router_options.rs: a_router_calls_whom_it_connects_to_as_it_likes",
            "a_given_name_is_for_one_connection",
        ],
    ),
    (
        "ZMQ_HANDSHAKE_IVL",
        &[
            "reconnect.rs: a_handshake_that_does_not_end_is_broken_off",
            "later_options.rs: the_time_for_a_handshake",
        ],
    ),
    (
        "ZMQ_SOCKS_PROXY",
        &[
            "connection_options.rs: a_proxy_connects_sockets",
            "later_options.rs: through_which_proxy_one_connects",
        ],
    ),
    ("ZMQ_XPUB_NODROP", &["high_water.rs: a_publisher_told_not_to_drop_waits"]),
    ("ZMQ_XPUB_MANUAL", &["publish_options.rs: a_manual_xpub_subscribes_for_its_peers"]),
    ("ZMQ_XPUB_WELCOME_MSG", &["publish_options.rs: subscribers_are_welcomed"]),
    (
        "ZMQ_STREAM_NOTIFY",
        &["stream.rs: notifications_can_be_turned_off", "later_options.rs: notices_of_streams"],
    ),
    (
        "ZMQ_INVERT_MATCHING",
        &[
            "publish_options.rs: matching_can_be_inverted",
            "a_sub_that_inverts_takes_what_it_does_not_subscribe_to",
        ],
    ),
    (
        "ZMQ_HEARTBEAT_IVL",
        &[
            "reconnect.rs: heartbeats_find_a_peer_that_is_silent",
            "later_options.rs: heartbeats_and_how_long_they_are_waited_for",
        ],
    ),
    ("ZMQ_HEARTBEAT_TTL", &["later_options.rs: heartbeats_and_how_long_they_are_waited_for"]),
    (
        "ZMQ_HEARTBEAT_TIMEOUT",
        &[
            "later_options.rs: heartbeats_and_how_long_they_are_waited_for",
            "heartbeats_are_waited_for_as_long_as_the_interval_or_for_ever",
        ],
    ),
    (
        "ZMQ_XPUB_VERBOSER",
        &[
            "publish.rs: a_verbose_xpub_hears_every_subscriber",
            "verbosity.rs: the_one_set_last_counts",
        ],
    ),
    (
        "ZMQ_CONNECT_TIMEOUT",
        &[
            "endpoints.rs: an_attempt_that_nobody_answers_ends_when_told",
            "later_options.rs: how_long_an_attempt_may_take",
        ],
    ),
    (
        "ZMQ_TCP_MAXRT",
        &[
            "kernel_options.rs: unanswered_data_is_given_up_when_told",
            "src/transport/tune.rs: linux_is_told_of_retransmission_priority_and_device",
        ],
    ),
    ("ZMQ_THREAD_SAFE", &["options.rs: a_socket_tells_of_its_type_what_libzmq_does"]),
    (
        "ZMQ_USE_FD",
        &[
            "listening_socket.rs: an_endpoint_is_bound_to_the_socket_it_is_given",
            "a_file_that_the_program_made_stays",
            "what_is_told_by_its_number_stays_the_programs",
            "only_the_next_endpoint_is_bound_to_it",
            "sockets_that_do_not_fit_are_refused_and_kept",
        ],
    ),
    (
        "ZMQ_BINDTODEVICE",
        &[
            "kernel_options.rs: connections_go_through_the_device_that_is_named",
            "src/transport/tune.rs: linux_is_told_of_retransmission_priority_and_device",
        ],
    ),
    (
        "ZMQ_LOOPBACK_FASTPATH",
        &["connection_options.rs: connections_come_about_with_the_short_way_and_without"],
    ),
    (
        "ZMQ_METADATA",
        &[
            "connection_options.rs: peers_see_the_properties_of_a_socket",
            "peer_properties.rs: a_message_comes_with_what_the_peer_told_of_itself",
            "later_options.rs: the_name_and_the_properties_told",
        ],
    ),
    (
        "ZMQ_MULTICAST_LOOP",
        &[
            "interfaces.rs: a_radio_may_keep_its_datagrams_from_this_machine",
            "what_a_radio_keeps_from_this_machine_holds_for_groups_connected_to_later",
            "src/transport/udp.rs: what_the_options_say_is_told_to_the_system",
            "receivers_are_told_whether_datagrams_come_back_too",
        ],
    ),
    (
        "ZMQ_ROUTER_NOTIFY",
        &[
            "router_options.rs: a_router_hears_of_those_who_come_and_go",
            "a_router_hears_only_of_what_it_wants_to",
            "later_options.rs: notices_of_routers_and_what_they_say_first_and_last",
        ],
    ),
    (
        "ZMQ_XPUB_MANUAL_LAST_VALUE",
        &["publish_options.rs: the_last_value_goes_to_whoever_has_just_come"],
    ),
    ("ZMQ_SOCKS_USERNAME", &["connection_options.rs: a_proxy_connects_sockets"]),
    ("ZMQ_SOCKS_PASSWORD", &["connection_options.rs: a_proxy_connects_sockets"]),
    (
        "ZMQ_IN_BATCH_SIZE",
        &[
            "connection_options.rs: batches_have_the_sizes_they_are_told",
            "later_options.rs: how_much_is_read_at_once",
        ],
    ),
    (
        "ZMQ_OUT_BATCH_SIZE",
        &[
            "connection_options.rs: batches_have_the_sizes_they_are_told",
            "later_options.rs: how_much_is_written_at_once",
        ],
    ),
    ("ZMQ_WSS_KEY_PEM", &["web/secure.rs: a_server_needs_a_certificate_and_its_key"]),
    ("ZMQ_WSS_CERT_PEM", &["web/secure.rs: a_server_needs_a_certificate_and_its_key"]),
    ("ZMQ_WSS_TRUST_PEM", &["web/secure.rs: a_client_trusts_nobody_unless_it_is_told_to"]),
    ("ZMQ_WSS_HOSTNAME", &["web/secure.rs: a_server_has_to_be_whom_the_client_wants_to_reach"]),
    (
        "ZMQ_WSS_TRUST_SYSTEM",
        &["web/secure.rs: the_systems_certificates_are_trusted_if_that_is_wanted"],
    ),
    (
        "ZMQ_ONLY_FIRST_SUBSCRIBE",
        &["publish_options.rs: every_frame_may_subscribe_unless_only_the_first_shall"],
    ),
    (
        "ZMQ_RECONNECT_STOP",
        &[
            "reconnect_options.rs: a_refused_connection_is_not_tried_again_if_so_told",
            "a_failed_handshake_is_not_tried_again_if_so_told",
            "a_socket_that_is_disconnected_stops_trying_if_so_told",
            "later_options.rs: when_connections_are_not_made_anew",
        ],
    ),
    (
        "ZMQ_HELLO_MSG",
        &[
            "router_options.rs: peers_are_greeted_first",
            "number_notices.rs: peers_are_greeted_first",
            "later_options.rs: notices_of_routers_and_what_they_say_first_and_last",
        ],
    ),
    (
        "ZMQ_DISCONNECT_MSG",
        &[
            "router_options.rs: a_lost_peer_has_a_last_word",
            "number_notices.rs: a_lost_peer_has_a_last_word",
            "later_options.rs: notices_of_routers_and_what_they_say_first_and_last",
        ],
    ),
    (
        "ZMQ_PRIORITY",
        &[
            "kernel_options.rs: packets_have_the_type_of_service_and_the_priority_asked_for",
            "src/transport/tune.rs: linux_is_told_of_retransmission_priority_and_device",
        ],
    ),
    (
        "ZMQ_BUSY_POLL",
        &[
            "kernel_options.rs: devices_are_looked_at_as_long_as_told_or_the_right_is_wanting",
            "src/transport/tune.rs: linux_polls_devices_as_long_as_it_is_told_or_says_no",
        ],
    ),
    (
        "ZMQ_HICCUP_MSG",
        &[
            "router_options.rs: a_dealer_hears_of_a_lost_connection",
            "later_options.rs: what_a_dealer_hears_of_lost_connections",
        ],
    ),
    ("ZMQ_XSUB_VERBOSE_UNSUBSCRIBE", &["publish_options.rs: a_verbose_xsub_tells_of_every_end"]),
    ("ZMQ_TOPICS_COUNT", &["publish_options.rs: topics_are_counted"]),
];

pub(crate) const OF_CONTEXTS: Effects = &[
    ("ZMQ_IO_THREADS", &["context_options.rs: so_many_threads_serve_connections"]),
    ("ZMQ_MAX_SOCKETS", &["options.rs: a_context_has_so_many_sockets_and_no_more"]),
    ("ZMQ_THREAD_PRIORITY", &["context_options.rs: threads_are_scheduled_as_the_options_say"]),
    ("ZMQ_SOCKET_LIMIT", &["context_options.rs: what_is_only_told_is_as_in_libzmq"]),
    ("ZMQ_THREAD_SCHED_POLICY", &["context_options.rs: threads_are_scheduled_as_the_options_say"]),
    ("ZMQ_MAX_MSGSZ", &["context_options.rs: messages_may_be_longer_than_programs_in_c_are_told"]),
    ("ZMQ_MSG_T_SIZE", &["context_options.rs: what_is_only_told_is_as_in_libzmq"]),
    (
        "ZMQ_THREAD_AFFINITY_CPU_ADD",
        &["context_options.rs: threads_have_the_name_and_the_processors_they_are_given"],
    ),
    (
        "ZMQ_THREAD_AFFINITY_CPU_REMOVE",
        &["context_options.rs: threads_have_the_name_and_the_processors_they_are_given"],
    ),
    (
        "ZMQ_THREAD_NAME_PREFIX",
        &["context_options.rs: threads_have_the_name_and_the_processors_they_are_given"],
    ),
    (
        "ZMQ_ZERO_COPY_RECV",
        &["context_options.rs: \
             long_frames_stay_where_they_were_received_unless_they_shall_be_copied"],
    ),
    (
        "ZMQ_IPV6",
        &[
            "context_options.rs: contexts_open_sockets_to_ipv6",
            "sockets_begin_as_the_context_has_it",
        ],
    ),
    (
        "ZMQ_BLOCKY",
        &[
            "context_options.rs: whether_contexts_wait_for_what_is_not_sent_is_as_they_have_it",
            "sockets_begin_as_the_context_has_it",
        ],
    ),
];

pub(crate) const OF_MESSAGES: Effects = &[
    ("ZMQ_MORE", &["peer_properties.rs: options_of_frames_have_the_numbers_of_libzmq"]),
    ("ZMQ_SRCFD", &["peer_properties.rs: the_source_descriptor_is_that_of_the_connection"]),
    (
        "ZMQ_SHARED",
        &[
            "peer_properties.rs: options_of_frames_have_the_numbers_of_libzmq",
            "context_options.rs: \
             long_frames_stay_where_they_were_received_unless_they_shall_be_copied",
        ],
    ),
];

/// Reads of an option of a socket while it is in use, though it holds later or next only, and why.
const READ_AT_ONCE: &[(&str, &str)] = &[
    ("listening_socket", "once it is used, it is taken back"),
    ("immediate", "a PEER is refused what it is about to connect to"),
];

/// Options that peers are given: they would be told of another value.
const GIVEN_TO_PEERS: &[&str] = &["send_high_water_mark", "receive_high_water_mark"];

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What shows an option's effect, as the page has it.
pub(crate) fn shown_by(effects: Effects, constant: &str) -> String {
    let tests = effects.iter().find(|(name, _)| *name == constant).map_or(&[][..], |(_, it)| it);
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ")
}

/// The options of a table that are supported, and their effects.
fn tables() -> [(Vec<OptionInfo>, Effects); 3] {
    let mut sockets = socket_options();
    sockets.retain(|info| info.unsupported.is_none());
    [(sockets, OF_SOCKETS), (context_options(), OF_CONTEXTS), (message_options(), OF_MESSAGES)]
}

fn source(file: &str) -> Result<String, String> {
    let folders = [format!("{CRATE}/tests/sockets"), CRATE.to_owned()];
    let read = |folder: &String| fs::read_to_string(PathBuf::from(folder).join(file)).ok();
    folders.iter().find_map(read).ok_or_else(|| format!("there is no {file}"))
}

/// Whether `text` has a function of that name that is a test.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let function = format!("fn {name}()");
    lines.iter().enumerate().any(|(at, line)| {
        let is_attribute = |line: &&&str| line.starts_with("#[") || line.starts_with("//");
        line.starts_with(&function)
            && lines[..at].iter().rev().take_while(is_attribute).any(|line| *line == "#[test]")
    })
}

/// Where `name` stands in `text` as a word.
fn words<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(name).map(|(at, _)| at).filter(move |&at| {
        !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part)
    })
}

/// Whether a file has to do with an option at all.
fn speaks_of(text: &str, info: &OptionInfo) -> bool {
    let names = [info.name.to_owned(), format!("set_{}", info.name), info.constant.to_owned()];
    names.iter().any(|name| words(text, name).next().is_some())
}

fn check(info: &OptionInfo, tests: &[&'static str]) -> Result<(), String> {
    let mut file = None;
    if tests.is_empty() {
        return Err("nothing shows it".to_owned());
    }
    for test in tests {
        let (path, name) = match (test.split_once(": "), file) {
            (Some(both), _) => both,
            (None, Some(path)) => (path, *test),
            (None, None) => return Err(format!("{test}: in which file?")),
        };
        file = Some(path);
        let text = source(path)?;
        if !has_test(&text, name) {
            return Err(format!("no test {name} in {path}"));
        }
        if !speaks_of(&text, info) {
            return Err(format!("{path} does not speak of it"));
        }
    }
    Ok(())
}

#[test]
fn every_option_has_tests_that_show_what_it_does() {
    let mut wrong = Vec::new();
    for (options, effects) in tables() {
        for info in &options {
            let entries = effects.iter().filter(|(name, _)| *name == info.constant);
            match *entries.collect::<Vec<_>>() {
                [(_, tests)] => {
                    let outcome = check(info, tests);
                    wrong.extend(outcome.err().map(|why| format!("{}: {why}", info.constant)));
                }
                [] => wrong.push(format!("{}: nothing shows it", info.constant)),
                _ => wrong.push(format!("{}: it is there twice", info.constant)),
            }
        }
        let known = |name: &str| options.iter().any(|info| info.constant == name);
        let others = effects.iter().filter(|(name, _)| !known(name));
        wrong.extend(others.map(|(name, _)| format!("{name}: there is no such option")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_entry_that_has_rotted_is_noticed() {
    let linger = socket_options().into_iter().find(|info| info.constant == "ZMQ_LINGER").unwrap();
    let complaint = |tests: &[&'static str]| check(&linger, tests).expect_err("it is wrong");
    assert_eq!(check(&linger, &["linger.rs: replies_linger", "large_messages_linger_too"]), Ok(()));
    assert!(complaint(&[]).contains("nothing"));
    assert!(complaint(&["replies_linger"]).contains("which file"));
    assert!(complaint(&["lingering.rs: replies_linger"]).contains("there is no"));
    assert!(complaint(&["linger.rs: replies"]).contains("no test replies in"));
    assert!(complaint(&["linger.rs: replies_linger", "expect"]).contains("no test"));
    // A function, but no test.
    assert!(complaint(&["harness.rs: context"]).contains("no test"));
    assert!(
        complaint(&["rules.rs: every_test_that_the_table_of_rules_names_exists"]).contains("speak")
    );
}

/// All that is Rust in a folder.
fn sources(folder: PathBuf) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                return sources(path);
            }
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            let text = is_source.then(|| fs::read_to_string(&path).unwrap());
            text.map(|text| vec![(path, text)]).unwrap_or_default()
        })
        .collect()
}

/// What is bound or connected has the options as they were: only those that hold at once are read
/// from the socket while it is in use.
#[test]
fn sockets_in_use_read_what_holds_at_once_and_nothing_else() {
    let sources = sources(PathBuf::from(CRATE).join("src"));
    // Patterns have no other options than those of their sockets.
    let reads = |text: &str, path: &PathBuf, name: &str| {
        let whole = path.components().any(|part| part.as_os_str() == "pattern");
        let of = if whole { "options." } else { "peers.options." };
        words(text, name).any(|at| text[..at].ends_with(of))
    };
    let mut exceptions: Vec<_> = READ_AT_ONCE.iter().map(|(name, _)| *name).collect();
    let [(options, _), ..] = tables();
    // The others are what a socket is asked to do or tells, and no values that it keeps.
    for info in options.iter().filter(|info| info.default_value().is_some()) {
        let names = [info.name.to_owned(), format!("default_{}", info.name)];
        let found = sources
            .iter()
            .find(|(path, text)| names.iter().any(|name| reads(text, path, name)))
            .map(|(path, _)| path);
        if info.time == OptionTime::AtOnce {
            let is_read = found.is_some() || GIVEN_TO_PEERS.contains(&info.name);
            assert!(is_read, "{} holds at once, but is not read so", info.name);
        } else if let Some(path) = found {
            let at = exceptions.iter().position(|name| *name == info.name);
            let at = at.unwrap_or_else(|| panic!("{} holds later: {path:?}", info.name));
            exceptions.remove(at);
        }
    }
    assert!(exceptions.is_empty(), "no longer needed: {exceptions:?}");
}
