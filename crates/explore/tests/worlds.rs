//! All worlds: what must hold in each of them, whatever the order of events.

#[test]
fn nobody_is_stranded_lost_or_held_up_in_any_order_of_events() {
    let mut told = Vec::new();
    let explored = rempart_explore::explore("", &mut |line| told.push(line.to_owned()));
    // So many states were looked at: shown with --nocapture, and where it fails.
    println!("{}", told.join("\n"));
    if let Err(error) = explored {
        let breach = error.downcast_ref::<rempart_explore::Breach>().map(|breach| breach.script.as_str());
        panic!("{error}\n{}", breach.unwrap_or_default());
    }
}
