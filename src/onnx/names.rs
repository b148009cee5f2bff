//! State-dict names.
