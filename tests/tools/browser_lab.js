// What the browser test asks of the open notebook; evaluated once in the page.
(() => {
  const panel = () => window.jupyterapp.shell.currentWidget;
  const kernel = () => panel().sessionContext.session.kernel;
  const area = i => panel().content.widgets[i].node.querySelector(".jp-Cell-outputArea");
  const isView = output => "application/vnd.jupyter.widget-view+json" in (output.data || {});
  const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  const bift = window.bift = {ran: false, kernelErrors: []};

  // waiting for "idle" alone is not enough: a fresh kernel may then run nothing at all
  bift.ready = async () => {
    await window.jupyterapp.restored;
    await panel().context.ready;
    await panel().sessionContext.ready;
    await kernel().info;
    kernel().iopubMessage.connect((_, message) => {
      if (message.header.msg_type !== "error") return;
      bift.kernelErrors.push(`${message.content.ename}: ${message.content.evalue}`);
    });
  };

  // the lab adds the cells, then what is in them, bit by bit when it has nothing else to do
  bift.drawn = () => {
    const cells = panel().content.widgets;
    return cells.length === panel().content.model.cells.length && cells.every(cell =>
      cell.node.isConnected && !cell.placeholder &&
      [...cell.node.querySelectorAll("img")].every(image => image.complete));
  };

  bift.runAll = async () => {
    const commands = window.jupyterapp.commands;
    await commands.execute("notebook:clear-all-cell-outputs");
    commands.execute("notebook:run-all-cells").finally(() => { bift.ran = true; });
  };

  bift.cells = () => panel().context.model.toJSON().cells.map(cell => {
    const outputs = cell.outputs || [];
    const allowed = (cell.metadata.tags || []).includes("raises-exception");
    const errors = allowed ? [] : outputs.filter(output => output.output_type === "error");
    return {
      code: cell.cell_type === "code" && [].concat(cell.source).join("").trim() !== "",
      count: cell.execution_count || 0,
      errors: errors.map(error => `${error.ename}: ${error.evalue}`),
      views: outputs.filter(isView).length,
    };
  });

  bift.withFigure = () => bift.cells().flatMap((cell, i) => cell.code &&
    [...area(i).querySelectorAll("img")].some(img => img.naturalWidth > 0) ? [i] : []);

  // what a reader sees change: figures and lines of text, not the controls themselves
  bift.output = i => {
    const text = ".widget-html-content, .jupyter-widgets.widget-label, .jp-RenderedText, " +
      ".jp-RenderedHTMLCommon";
    const pictures = [...area(i).querySelectorAll("img, canvas")];
    return [
      ...pictures.map(picture => picture.src || picture.toDataURL()),
      ...[...area(i).querySelectorAll(".jp-RenderedSVG")].map(drawing => drawing.innerHTML),
      ...[...area(i).querySelectorAll(text)].map(element => element.innerHTML),
    ].join("\n");
  };

  // the kernel idle and the output at rest, so that a change belongs to the move before it
  bift.settle = async i => {
    let last = null, since = Date.now();
    for (const start = since; Date.now() - start < 300000; await pause(50)) {
      const now = bift.output(i);
      if (now !== last || kernel().status !== "idle") { last = now; since = Date.now(); }
      if (Date.now() - since > 400) return;
    }
    throw new Error(`cell ${i} was not at rest after five minutes`);
  };

  bift.shutdown = () => panel().sessionContext.shutdown();
})()
