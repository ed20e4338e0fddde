"""The functions that the model may call: the tools, and the box that runs them."""

from gateway.assistant.tools.base import Acts, Arguments, Call, Customer, Tool, ToolRefused
from gateway.assistant.tools.toolbox import Toolbox
from gateway.assistant.tools.turn_run import JournalledRound, TurnRun

__all__ = ["Acts", "Arguments", "Call", "Customer", "JournalledRound", "Tool", "ToolRefused", "Toolbox", "TurnRun"]
