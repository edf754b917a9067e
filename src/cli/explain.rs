//! `rempart explain`: how an answer comes about.
