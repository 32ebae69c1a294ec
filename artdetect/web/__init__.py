"""What all web services share: who may reach them, and the check in front of them.

See docs/explanation/threat-model.md.
"""
