//! Messages that always fail.

use std::fs;

use super::orders::Orders;

#[test]
fn every_fifth_message_panics_and_the_others_are_processed() {
    let items = |order| if order % 5 == 0 { 0 } else { 3 };
    let queue: String = (0..1000).map(|order| format!("{order} {} 600\n", items(order))).collect();
    let orders = Orders::new(queue);

    let ended = orders.start([]).end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout.lines().last().unwrap(),
        "1000 taken: 800 done, 0 failed, 200 panicked, 0 timed out, 0 cut short, 1000 acknowledged"
    );
    let expected = (0..1000).filter(|order| items(*order) > 0).map(|order| format!("{order} 200"));
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    assert!(orders.records("orders.done").into_iter().eq(expected.into_iter().map(|e| (e, 1))));
    let dead = orders.dead();
    assert_eq!(dead.len(), 200);
    assert!(dead.values().all(|&count| count == 1));
    for record in orders.read("orders.dead").lines() {
        let reason = record.split('\t').nth(1).unwrap();
        assert!(reason.starts_with("task `item price` panicked at "), "{record}");
        assert!(reason.ends_with(": attempt to divide by zero"), "{record}");
    }
}

#[test]
fn an_unreadable_message_is_dead_with_its_reason_and_bytes() {
    let orders = Orders::new(b"1 2 20\n\n2 two 40\n3\t2\n4 \xff 80\n5 2 100\n");

    let ended = orders.start([]).end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let said = "6 taken: 2 done, 4 failed, 0 panicked, 0 timed out, 0 cut short, 6 acknowledged";
    assert_eq!(ended.stdout.lines().last(), Some(said));
    let dead = fs::read(orders.path("orders.dead")).unwrap();
    let mut dead: Vec<_> = dead.split_inclusive(|byte| *byte == b'\n').collect();
    dead.sort();
    let expected: [&[u8]; 4] = [
        b"17\tmissing field: cents\t3\t2\n",
        b"21\tinvalid utf-8 sequence of 1 bytes from index 2\t4 \xff 80\n",
        b"7\tmissing field: order\t\n",
        b"8\tinvalid digit found in string\t2 two 40\n",
    ];
    assert_eq!(dead, expected);
    assert_eq!(orders.count("orders.acknowledged"), 6);
}

#[test]
fn acknowledged_messages_are_not_processed_again() {
    let orders = Orders::new("1 2 20\n2 0 40\n3 2 60\n");
    orders.start([]).end();
    let files = ["orders.done", "orders.dead", "orders.acknowledged"];
    let before = files.map(|name| orders.read(name));

    let ended = orders.start([]).end();

    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("3 acknowledged before\n0 taken:"), "{ended:#?}");
    assert_eq!(files.map(|name| orders.read(name)), before);
}
