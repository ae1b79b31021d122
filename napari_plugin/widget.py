"""The dock widget: connects the panel, the layers and the keys with `session`."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog

from imaging_service.errors import ServiceError
from imaging_service.key_file import service_url
from napari_plugin.edits import CELL
from napari_plugin.keys import CorrectionKeys
from napari_plugin.layers import FieldLayers
from napari_plugin.panel import ReviewPanel
from napari_plugin.session import ReviewSession

# How often what waits is sent and the tables are asked for.
_POLL_MS = 3000


def reading_name() -> str:
    """The user's name as an independent reading is named."""
    return "".join(c if c.isalnum() else "_" for c in f"by_{getpass.getuser()}")[:40]


class ReviewWidget(ReviewPanel):
    """Open a run, pick wells, step through fields, judge and correct them, and see the curve.

    Keys: N and P step, Q goes to the most urgent field; A accepts; R rejects with a reason, Shift-R
    the whole well, T the track under the cursor; D erases the object under the cursor, M merges it
    into the selected one, X pressed over two halves splits a cell, W begins a new one to be
    painted, E traces neurites by clicks, Shift-E takes neurites out with a brush, S saves what was
    painted (stepping on does as well), Z takes the last click or correction back;
    O turns outlines into areas, G hides the neurite graph, C loads the labels around the cursor of
    a very large field, U brings the tables up to date, Shift-A takes a well's rejection back.
    """

    # From another thread, once the tables have followed: what went wrong, or an empty text.
    followed = Signal(str)
    # From another thread: the revision of a service's tables, and what waits to be sent.
    answered = Signal(int, str)

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._layers = FieldLayers(napari_viewer, self._bind)
        self.session: ReviewSession | None = None
        self._keys: CorrectionKeys | None = None
        self._applied = 0
        self.plate.picked.connect(self._pick)
        self.blinded.toggled.connect(self._blind)
        self.open_button.clicked.connect(self._choose)
        self.connect_button.clicked.connect(self._connect)
        self.wells.textActivated.connect(self._pick)
        self.phenotype.textActivated.connect(lambda _: self._show_curve())
        for button, action in (
            (self.next_button, self.next),
            (self.previous_button, self.previous),
            (self.urgent_button, self.next_ranked),
        ):
            button.clicked.connect(lambda _, act=action: self._try(act))
        self._actions: dict[str, Callable[[], None]] = {
            "n": self.next,
            "p": self.previous,
            "q": self.next_ranked,
            "a": self.accept,
            "r": self.reject,
            "Shift-R": self.reject_well,
            "Shift-A": self.accept_well,
            "t": self.reject_track,
            "d": partial(self._correct, CorrectionKeys.erase),
            "m": partial(self._correct, CorrectionKeys.merge),
            "x": partial(self._correct, CorrectionKeys.split),
            "w": partial(self._correct, CorrectionKeys.draw),
            "s": self.save,
            "e": partial(self._correct, CorrectionKeys.trace),
            "Shift-E": partial(self._correct, CorrectionKeys.wipe),
            "z": partial(self._correct, CorrectionKeys.undo),
            "c": partial(self._correct, CorrectionKeys.load_here),
            "o": self._layers.toggle_outlines,
            "g": self._layers.toggle_graph,
            "u": self.follow,
        }
        self.apart.toggled.connect(lambda apart: self._try(lambda: self._read_apart(apart)))
        self._bind(napari_viewer)
        self._viewer.dims.events.current_step.connect(self._time_moved)
        self.followed.connect(self._followed)
        self.answered.connect(self._answered)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._timer.start(_POLL_MS)

    def _bind(self, target: Any) -> None:
        """Bind the keys on the viewer or on a layer.

        On both, because the selected layer's own keys (P, M and S among them) come first.
        """
        for key, action in self._actions.items():
            target.bind_key(key, lambda _, act=action: self._try(act), overwrite=True)

    def _try(self, act: Callable[[], Any]) -> bool:
        """Act; an error is shown in the panel, and False is returned."""
        self.message.setText("")
        try:
            act()
        except (ServiceError, ValueError) as error:
            self.message.setText(str(error))
            return False
        return True

    # ── opening ──

    def open(self, folder: Path) -> None:
        """Open a run's folder and show its first well; an error is shown in the panel."""
        self._try(lambda: self._begin(lambda: ReviewSession.open(folder, self._reading())))

    def connect_to(self, url: str, run: str, journal: Path | None = None) -> None:
        """Open a run of a service and show its first well; an error is shown in the panel."""
        self._try(
            lambda: self._begin(lambda: ReviewSession.connect(url, run, self._reading(), journal))
        )

    def _reading(self) -> str:
        return reading_name() if self.apart.isChecked() else ""

    def _begin(self, opened: Callable[[], ReviewSession]) -> None:
        # Raises before anything is opened where what was painted cannot be saved: its layers go.
        self.save()
        session = opened()
        if self.session is not None:
            self.close_session()
            self._layers.clear()
        self.session = session
        self._keys = CorrectionKeys(
            self._viewer,
            self._layers,
            session,
            say=self.message.setText,
            show=self._show,
            describe=self._describe,
            attempt=self._try,
        )
        session.blinded = self.blinded.isChecked()
        self.wells.clear()
        self.wells.addItems(session.wells)
        self.phenotype.clear()
        self.phenotype.addItems(session.table.phenotypes)
        self._show_plate()
        if session.wells:
            self._show()
        else:
            self.caption.setText(
                "No well of this run was analysed:\n"
                + "\n".join(f"{w}: {r}" for w, r in session.table.unusable.items())
            )

    def _read_apart(self, apart: bool) -> None:
        """Open the run once more, as an independent reading or not."""
        session = self.session
        if session is None or bool(session.run.reading) == apart:
            return
        try:
            self._begin(lambda: session.again(reading_name() if apart else ""))
        finally:
            self.apart.setChecked(bool(self.session and self.session.run.reading))

    def hideEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Save what was painted, before the dock or the window goes."""
        self._try(self.save)
        super().hideEvent(event)

    def close_session(self) -> None:
        """Save what was painted, and end the session."""
        if self.session is not None:
            self._try(self.save)
            if self._keys is not None:
                self._keys.close()
            self.session.close()
            self.session = self._keys = None

    def save(self) -> None:
        """Save what was painted on the labels layers."""
        self._correct(CorrectionKeys.save)

    def _correct(self, act: Callable[[CorrectionKeys], None]) -> None:
        """Apply a correction; does nothing while no run is open."""
        if self._keys is not None:
            act(self._keys)

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of a run")
        if folder:
            self.open(Path(folder))

    def _connect(self) -> None:
        url, given = QInputDialog.getText(
            self, "Service", "Address of the service:", text=service_url()
        )
        run, named = (
            QInputDialog.getText(self, "Run", "The run's id, or its beginning:")
            if given
            else ("", False)
        )
        if named and run.strip():
            self.connect_to(url.strip(), run.strip())

    # ── stepping ──

    def next(self) -> None:
        """Go to the next field."""
        self._step(lambda session: session.next())

    def previous(self) -> None:
        """Go to the field before."""
        self._step(lambda session: session.previous())

    def next_ranked(self) -> None:
        """Go to the most urgent field that is not judged and that no other reviewer looks at."""
        if self.session is not None and not self._step(lambda session: session.next_ranked()):
            ranked = self.session.run.queue()
            advice = "This run has no queue; make it with: imaging-service review queue"
            self.message.setText("No field of the queue is left to judge." if ranked else advice)

    def _pick(self, well: str) -> None:
        def go(session: ReviewSession) -> bool:
            session.go_to(well)
            return True

        self._try(lambda: self._step(go))

    def _step(self, move: Callable[[ReviewSession], bool]) -> bool:
        """Save what was painted, then go; False where there is nowhere to go."""
        if self.session is None or not self.session.wells:
            return True
        self.save()
        moved = move(self.session)
        if moved:
            self._show()
        return moved

    def _blind(self, hidden: bool) -> None:
        # A reviewer who laid out the plate knows by a well's name and place what is in it.
        for part in (self.wells, self.plate, self.legend, self.curve, self.phenotype):
            part.setVisible(not hidden)
        if self.session is not None:
            self.session.blinded = hidden
            self._try(self._describe)

    def _time_moved(self, _event: Any = None) -> None:
        """Load the labels of another time point; the pixels follow the slider by themselves."""
        if self.session is None or self._layers.laid is None or self._layers.laid.frames == 1:
            return
        frame = int(self._viewer.dims.current_step[0]) + 1
        if frame != self.session.frame:

            def go() -> None:
                self.save()
                if self.session is not None:
                    self.session.go_to_frame(frame)
                    self._show()

            if not self._try(go):
                # The pixels went with the slider, and the labels did not.
                self._viewer.dims.set_current_step(0, self.session.frame - 1)

    # ── showing ──

    def _show(self) -> None:
        if self.session is None or self._keys is None:
            return
        image = self.session.image()
        first = self._layers.laid is None
        self._layers.show(image, self.session.contrast(), self.session.tracks())
        if first:
            self._viewer.reset_view()
            # The keys act on the selected labels; the graph, added last, is not to be corrected.
            self._layers.select(next(iter(image.labels)))
        self._keys.field_changed()
        self._describe()
        QTimer.singleShot(0, self.session.read_ahead)

    def _describe(self) -> None:
        session = self.session
        if session is None or not session.wells:
            return
        self.wells.setCurrentText(session.well)
        self.plate.mark(session.well)
        standing = session.standing()
        self.caption.setText("\n".join(filter(None, (session.said(standing), session.caption()))))
        self.progress.setText(session.progress(standing))
        if waiting := session.run.waiting():
            self.message.setText(waiting)
        self._show_curve()

    def _show_curve(self) -> None:
        if self.session is not None and self.session.wells:
            self.curve.show_curve(
                self.session.curve(self.phenotype.currentText()), self.session.well
            )

    def _show_plate(self) -> None:
        if self.session is not None:
            plate = self.session.run.record["plate_format"]
            self.plate.show_plate(self.session.plate(), plate["rows"], plate["columns"])

    # ── judging ──

    def accept(self) -> None:
        """Accept the field and go on, to the next of the queue where the queue is followed."""
        if self.session is None or self.session.shown is None:
            return
        self.save()
        ranked = self.session.follows_queue
        self.session.accept()
        self._show_plate()
        self.next_ranked() if ranked else self.next()

    def accept_well(self) -> None:
        """Accept the whole well, also where it was rejected."""
        if self.session is not None and self.session.shown is not None:
            self.save()
            self.session.accept(whole=True)
            self._show_plate()
            self._describe()

    def reject(self) -> None:
        """Ask why, and reject the field."""
        self._reject(whole=False)

    def reject_well(self) -> None:
        """Ask why, and reject the whole well."""
        self._reject(whole=True)

    def _reject(self, *, whole: bool) -> None:
        if self.session is None or self.session.shown is None:
            return
        what = "well" if whole else f"field {self.session.number}"
        named = what if self.session.blinded else f"{what} of {self.session.well}"
        if reason := self._ask_why(f"Why is {named} not to be used?"):
            self.save()
            ranked = self.session.follows_queue
            self.session.reject(reason, whole=whole)
            self._show_plate()
            self.next_ranked() if ranked else self._describe()

    def reject_track(self) -> None:
        """Ask why, and reject the track of the cell under the cursor."""
        if self.session is None or self._keys is None:
            return
        _, label, _ = self._keys.pointed_at(CELL)
        if label and (reason := self._ask_why("Why is this track not to be used?")):
            track = self.session.reject_track(label, reason)
            self.message.setText(f"track {track} rejected")

    def _ask_why(self, question: str) -> str:
        reason, given = QInputDialog.getText(self, "Reject", question)
        if given and not reason.strip():
            raise ValueError("a rejection needs a reason; nothing was rejected")
        return reason.strip() if given else ""

    # ── the tables ──

    def follow(self) -> None:
        """Let the tables follow the review, in the background."""
        if self.session is None:
            return
        self.session.follow(self.followed.emit)
        self.message.setText("corrected fields are being measured again …")

    def _followed(self, error: str) -> None:
        self.message.setText(error or "the tables are up to date with the review")
        if self.session is not None and not error:
            self.session.read_tables()
            self._show_plate()
            self._describe()

    def _poll(self) -> None:
        if self.session is not None:
            self.session.ask(self.answered.emit)

    def _answered(self, applied: int, waiting: str) -> None:
        """Show a service's answer, and the new tables once there are any."""
        if waiting:
            self.message.setText(waiting)
        elif applied not in (0, self._applied):
            self._applied = applied
            self._try(lambda: self._followed(""))
