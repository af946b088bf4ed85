"""What a started process says of itself: addresses, the key, and calls that work as printed."""

from sqlalchemy.engine import make_url

from csms import __version__
from csms.launch.process import ADMIN_KEY_FILE, Part, Running

DEMO_STATION = "DEMO-0001"


def welcome(started: Running, *, is_demo: bool) -> str:
    """The text to print once everything is up."""
    settings = started.runtime.settings
    url = make_url(settings.database_url.get_secret_value()).render_as_string(hide_password=True)
    running = sorted(part for part in started.parts if part is not Part.FTP or started.ftp_port)
    lines = [f"csms {__version__} is running: {', '.join(running)}", ""]
    if Part.BROKER in started.parts:
        policy, spoken = started.unknown_stations, ", ".join(settings.protocols)
        lines += [
            f"  stations   ws://{settings.broker_host}:{started.broker_port}/ocpp/{{station_id}}   ({spoken})",
            f"             unregistered stations: {policy}",
        ]
        if started.broker is not None and started.broker.tls_port is not None:
            secure = f"wss://{settings.broker_host}:{started.broker.tls_port}/ocpp/{{station_id}}"
            lines.insert(-1, f"             {secure}   (security profiles 2 and 3)")
            for served in started.broker.tls.served if started.broker.tls is not None else ():
                hosts = ", ".join(served.hosts) or served.subject
                lines.insert(-1, f"             certificate of {hosts}, until {served.not_after:%Y-%m-%d}")
    if Part.API in started.parts:
        api = f"http://{settings.api_host}:{started.api_port}"
        lines += [f"  API        {api}/api/v1", f"  reference  {api}/docs"]
    if started.ftp_port:
        lines += [f"  FTP        ftp://{settings.ftp_host}:{started.ftp_port}   (one-time logins for stations' files)"]
    if started.metrics_port:
        lines += [f"  metrics    http://{settings.metrics_host}:{started.metrics_port}/metrics   (and /health, /ready)"]
    lines += [f"  database   {url}"]
    if is_demo:
        lines += ["  demo       five simulated stations, DEMO-0001 to DEMO-0005: cars come, charge and leave"]
    key_path = settings.data_dir / ADMIN_KEY_FILE
    has_key_file = settings.admin_key is None and key_path.exists()
    key = f"in {key_path}" if has_key_file else "that of CSMS_ADMIN_KEY" if settings.admin_key else "csms key create"
    lines += [f"  admin key  {key}", ""]
    if Part.API in started.parts:
        shown = f"$(cat {key_path})" if has_key_file else "$CSMS_ADMIN_KEY"
        lines += _calls(api, shown, is_demo=is_demo)
    lines.append("Ctrl-C stops: stations are told, connections are closed in the history.")
    return "\n".join(lines)


def _calls(api: str, key: str, *, is_demo: bool) -> list[str]:
    header = f'-H "Authorization: Bearer {key}"'
    last = f"{api}/api/v1/stations/{DEMO_STATION}/charge-logs" if is_demo else f"{api}/api/v1/me"
    return [
        "Try:",
        f'  curl -s {header} "{api}/api/v1/stations"',
        f'  curl -s {header} "{last}"',
        f'  curl -s "{api}/feeds/geojson"',
        "",
    ]
