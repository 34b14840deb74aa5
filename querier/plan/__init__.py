"""What is read for a query, and which shortcuts may be taken?"""
