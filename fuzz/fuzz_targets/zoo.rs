#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weightsmith_fuzz::run("zoo", bytes));
