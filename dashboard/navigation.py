"""The pages of the dashboard."""

from typing import NamedTuple


class DashboardPage(NamedTuple):
    """A page: the name of its file and its path in the address, its title in the navigation, and the title's icon."""

    name: str
    title: str
    icon: str

    @property
    def file(self) -> str:
        """The file, relative to that of the entry point."""
        return f"app_pages/{self.name}.py"


PAGES = (
    DashboardPage("status", "Status", "🩺"),
    DashboardPage("fleet", "Fleet", "🏭"),
    DashboardPage("history", "Machine history", "📈"),
    DashboardPage("machine", "Check a machine", "🔎"),
    DashboardPage("monitoring", "Monitoring", "📡"),
    DashboardPage("models", "Models", "🏆"),
    DashboardPage("feedback", "Feedback", "📝"),
    DashboardPage("audit", "Audit", "📒"),
)
"""In the order of the navigation; the first one is the default. Tests open each of them."""
