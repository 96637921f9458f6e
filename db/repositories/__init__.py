"""All SQL, one module per topic. Functions take the session first, and none of them commits."""
