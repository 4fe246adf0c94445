from gateway.sandbox.conversation import Sent


def check(sent: Sent) -> None:
    pass
