//! How a call is carried out: its turn on its draft, a slot in its lane, the breaker, the backend, again.
