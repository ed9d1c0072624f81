"""Work sessions: who works on which animal at which scale, from when to when; and the edges whose scales these are."""
