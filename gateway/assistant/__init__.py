"""The shared chatbot turn: prompt, history, model, tools, escalation."""
