//! A ROUTER of ServerLink with two thousand DEALERs answers every request.

use std::thread;

use serverlink::SocketType;
use serverlink_interop::{PATIENCE, limits, until};

const DEALERS: usize = 2_000;
const REQUESTS_EACH: usize = 10;
/// libzmq's contexts have at most 1023 sockets unless told otherwise.
const CONTEXTS: usize = 4;

fn router() -> (serverlink::Socket, String) {
    limits::raise_open_files(4 * DEALERS as u64);
    let context = serverlink::Context::new().unwrap();
    let router = context.socket(SocketType::Router).unwrap();
    router.set_receive_timeout(Some(PATIENCE)).unwrap();
    let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
    (router, endpoint)
}

/// Waits for all DEALERs, then answers as many requests as they have.
fn serve(router: &serverlink::Socket) {
    until("all DEALERs are connected", || router.peer_count() == DEALERS);
    for _ in 0..DEALERS * REQUESTS_EACH {
        let mut request = router.recv().unwrap();
        let id = request.pop_front().unwrap();
        request.push_back("answer");
        request.push_front(id);
        router.send(request).unwrap();
    }
}

fn request(dealer: usize, index: usize) -> String {
    format!("request {index} of {dealer}")
}

#[test]
fn of_serverlink_dealers() {
    let (router, endpoint) = router();
    let context = serverlink::Context::builder().max_sockets(DEALERS).build().unwrap();
    let dealers: Vec<_> = (0..DEALERS)
        .map(|_| {
            let dealer = context.socket(SocketType::Dealer).unwrap();
            dealer.set_receive_timeout(Some(PATIENCE)).unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer
        })
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| serve(&router));
        for index in 0..REQUESTS_EACH {
            for (number, dealer) in dealers.iter().enumerate() {
                dealer.send(request(number, index)).unwrap();
            }
        }
        for (number, dealer) in dealers.iter().enumerate() {
            for index in 0..REQUESTS_EACH {
                let answer = dealer.recv().unwrap();
                assert_eq!((answer.len(), &answer[1]), (2, &"answer".into()));
                assert_eq!(answer[0], request(number, index).as_str());
            }
        }
    });
}

#[test]
fn of_libzmq_dealers() {
    let (router, endpoint) = router();
    let contexts: Vec<_> = (0..CONTEXTS).map(|_| zmq::Context::new()).collect();
    let dealers: Vec<_> = (0..DEALERS)
        .map(|number| {
            let dealer = contexts[number % CONTEXTS].socket(zmq::DEALER).unwrap();
            dealer.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
            dealer.set_linger(0).unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer
        })
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| serve(&router));
        for index in 0..REQUESTS_EACH {
            for (number, dealer) in dealers.iter().enumerate() {
                dealer.send(&request(number, index), 0).unwrap();
            }
        }
        for (number, dealer) in dealers.iter().enumerate() {
            for index in 0..REQUESTS_EACH {
                let answer = dealer.recv_multipart(0).unwrap();
                assert_eq!(answer, [request(number, index).as_bytes(), b"answer"]);
            }
        }
    });
}
