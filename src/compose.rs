//! A whole video from one plan: validate, prepare, fan out, meet at the sync point, save, sum up.
