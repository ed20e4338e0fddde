"""The functions that the model may call: the tools, and the box that runs them."""

from gateway.assistant.tools.base import Acts, Arguments, Call, Customer, Tool, ToolRefused
from gateway.assistant.tools.toolbox import Toolbox, TurnRun

__all__ = ["Acts", "Arguments", "Call", "Customer", "Tool", "ToolRefused", "Toolbox", "TurnRun"]
