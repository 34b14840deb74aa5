"""How are files of other programs read as entries? Records, times, labels, places to go on from."""
