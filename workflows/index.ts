/** What the Temporal Worker bundles: every workflow type by its name. */
export { admissionWorkflow } from './admission-workflow.ts';
export { agendaWorkflow } from './agenda-workflow.ts';
export { installationMarker } from './installation-marker.ts';
export { podReaper } from './pod-reaper.ts';
