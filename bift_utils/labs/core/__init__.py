"""What the labs share: how a check answers, how an explorer behaves."""
