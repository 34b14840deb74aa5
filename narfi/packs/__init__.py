"""Does a pack do what it promises? Its samples through the agent into a server, questions asked."""
