"""`omega model`: export, quantize, measure and use embedding models."""

from __future__ import annotations

import typer

from omega_cli.commands.model import bench, embed, export, quantize

app = typer.Typer(
    help="Embedding models: export, quantize, measure, use.", no_args_is_help=True, epilog="Example: omega model bench"
)
app.command("export", epilog=export.EPILOG)(export.export)
app.command("quantize", epilog=quantize.EPILOG)(quantize.quantize)
app.command("bench", epilog=bench.EPILOG)(bench.bench)
app.command("embed", epilog=embed.EPILOG)(embed.embed)
