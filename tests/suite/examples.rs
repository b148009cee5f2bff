//! The extension points as their examples use them. `cargo test` builds the examples.

use std::{env, process::Command};

/// What an example prints.
fn run(name: &str, arguments: &[&str]) -> String {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(program.exists(), "build the examples first: cargo build --examples");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    text
}

#[test]
fn a_program_fills_a_network() {
    let text = run("fill", &[]);
    assert!(text.contains(" 0 skipped"), "{text}");
    assert!(text.contains("weight"), "{text}");
}

/// What `custom_operator` prints.
pub fn check_custom_operator(text: &str) {
    let (stranger, trained) = text.split_once("trained on 80 networks").unwrap();
    assert!(stranger.contains("never met com.example::ScaledTanhConv"));
    assert!(!trained.contains("never met"));
    for name in ["first.weight", "first.gamma", "second.weight", "head.weight"] {
        assert!(stranger.contains(name) && trained.contains(name), "{name}");
    }
    let number = |before: &str| {
        let after = stranger.split(before).nth(1).unwrap();
        after.split(|it: char| it != '.' && !it.is_ascii_digit()).next().unwrap().parse::<f32>()
    };
    let steered = number("towards labelled images ").unwrap();
    assert!(steered < number("cross-entropy ").unwrap());
    assert_eq!(trained.matches("predicted-loss").count(), 2);
}

#[test]
fn an_operator_of_another_crate_is_filled_trained_on_steered_and_ranked() {
    check_custom_operator(&run("custom_operator", &[]));
}

#[test]
fn a_node_encoder_of_another_crate_trains_along() {
    let text = run("node_encoder", &["--seconds", "5"]);
    assert!(text.contains("networks in"));
    assert!(text.contains("without the node encoder: the predictor reads"));
    let moved = text.split("values by ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(moved.parse::<f32>().unwrap() > 0.0, "{moved}");
}

#[test]
fn a_search_goes_by_ranks_and_trains_its_winner() {
    let text = run("search", &["--seconds", "1", "--epochs", "1", "--images", "640"]);
    let judged = text.split("the best of ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(judged.parse::<usize>().unwrap() >= 32, "{judged}");
    assert_eq!(text.matches("a random cell").count(), 3);
}
