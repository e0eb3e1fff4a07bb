/* Calls back into Python, for what no operation computes: slow, and by one thread.
 *
 *   callback: y0, y1, ... = function(x0, x1, ...); the function knows how they lie
 *
 * What it raises stops the job, before the step changes the model. (A run that is being timed has no job: its step goes
 * on with zeros, and the caller learns of it afterwards.)
 */
static void callback(const fnn_instr *in, const fnn_run *run) {
    const fnn_callback *c = in->p[0];
    if (run->thread == 0 && c->call(c->object, in, run) && run->job) run->job->stop = 1;
}

#define fnn_op_callback {"callback", "function x0? x1? x2? x3? x4? x5? y0? y1? y2? y3? y4?", "", "", callback}
