//! The journal, alone and with others on one file.
