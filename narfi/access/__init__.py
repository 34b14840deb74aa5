"""Who is at the door, and what may that one do?"""
